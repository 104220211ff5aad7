"""What `--json` prints: any Struct or collection of them as indented JSON."""

import msgspec


def printed(value: object) -> str:
    """Return the JSON of a value; times are RFC 3339, fields have the names they have in our messages."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
