"""Ids that derive from content, so that twice is once: whoever says the same thing names it alike."""

import hashlib
import json
import re
from datetime import UTC, datetime

IDENTIFIER = "[A-Z][A-Z0-9_]{0,19}"
"""What stands before the number in a tracker key, as a regular expression."""
PROJECT = "[a-z][a-z0-9-]{0,39}"
"""What a project may be called: lower-case letters, digits and dashes, 40 at most; one token of a subject."""
_KEY = re.compile(rf"{IDENTIFIER}-[1-9][0-9]{{0,8}}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,40}")
_SLUG_GAP = re.compile(r"[^a-z0-9]+")
SLUG_CHARS = 40
_quoted = json.encoder.encode_basestring_ascii
"""What `json.dumps` does to a text; without it a list costs the making of an encoder each time."""


def digest(*parts: str) -> str:
    """Return 32 hex characters (128 bits of SHA-256) that stand for these parts, in this order."""
    return hashlib.sha256(f"[{', '.join(map(_quoted, parts))}]".encode()).hexdigest()[:32]


def stamp(at: datetime) -> str:
    """Return an aware time as UTC text with microseconds, the one spelling used inside ids."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def event_id(source: str, object_id: str, field: str, value: str, at: datetime | None) -> str:
    """Name a fact by its content: who says it, of what, which field, its new value, and the source's own time.

    `at` is None where the source gives no time of its own; the fact is then one for ever.
    """
    return digest(source, object_id, field, value, stamp(at) if at else "")


def command_id(project: str, key: str, revision: int, position: int) -> str:
    """Name a command by the transition that ordered it; unique, because a task's revisions are."""
    return f"{project}-{key}-{revision}-{position}"


def run_id(project: str, key: str, revision: int) -> str:
    """Name a run by the transition that started it: every attempt is a run of its own, so an old one is fenced."""
    return f"{project}-{key}-r{revision}"


def is_key(text: str) -> bool:
    """Whether this is a tracker key such as SHOP-12."""
    return _KEY.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """Whether this may be one token of a subject: letters, digits, dashes and underscores, 40 at most."""
    return _TOKEN.fullmatch(text) is not None


def slug(title: str) -> str:
    """Return a title as the tail of a branch name: lower-case ASCII words joined by dashes, 40 characters at most."""
    text = _SLUG_GAP.sub("-", title.lower().encode("ascii", "ignore").decode()).strip("-")
    return text[:SLUG_CHARS].rstrip("-") or "task"


def branch_name(key: str, title: str) -> str:
    """Return the branch of a task, `feature/<key>-<slug>` (SE-5)."""
    return f"feature/{key}-{slug(title)}"


def key_of_branch(branch: str) -> str:
    """Return the tracker key that a branch of ours names, or an empty string for any other branch."""
    match = re.match(rf"(?:refs/heads/)?feature/({_KEY.pattern})(?:-|$)", branch)
    return match.group(1) if match else ""
