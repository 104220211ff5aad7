"""Where a verified delivery can go: to the bus at once, or into the spool first."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from conveyor.gateway.admission import Admission
from conveyor.gateway.spool.queue import Spool


class Ways(Struct, frozen=True, kw_only=True):
    """Both ways, and what chooses between them."""

    admission: Admission
    spools: Mapping[str, Spool]
    """By the source's name."""
    is_bus_there: Callable[[], bool]
    """Whether a request to the bus would go out at once."""
