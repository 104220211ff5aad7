"""Times in messages: always aware, since one without a zone can be compared with none of the others."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

Moment = Annotated[datetime, Meta(tz=True)]
"""A time that says its zone; a message that holds another is refused as one that cannot be read."""
