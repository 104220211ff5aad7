"""Which servers will do: older ones accept newer settings and silently ignore them, so they are refused by name."""

import re

from conveyor.contracts.errors import SettingsError

NEEDED_API_LEVEL = 3
FIRST_GOOD_PATCH = {(2, 12): 14, (2, 14): 4}
"""The release lines that began with faults in what we use, and where each was mended; from 2.15 on all will do."""
FIRST_GOOD_LINE = (2, 15)
NEEDED = "nats-server 2.12.14 or newer of 2.12, 2.14.4 or newer (JetStream API level 3)"
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


def require(version: str, api_level: int | None) -> None:
    """Raise SettingsError, naming what it is and what is needed, unless this server will do."""
    shown = f"nats-server {version} (JetStream API level {'none' if api_level is None else api_level})"
    match = _VERSION.match(version)
    if match is None:
        raise SettingsError(f"{shown}: not a version that can be judged; needed: {NEEDED}")
    major, minor, patch = (int(part) for part in match.groups())
    first_good = FIRST_GOOD_PATCH.get((major, minor))
    is_good = (major, minor) >= FIRST_GOOD_LINE or (first_good is not None and patch >= first_good)
    if not is_good or (api_level or 0) < NEEDED_API_LEVEL:
        raise SettingsError(f"{shown} is too old: it would ignore settings silently; needed: {NEEDED}")
