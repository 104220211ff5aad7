"""What we read of Plane's REST answers; unknown fields are ignored."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct, ValidationError, convert

from conveyor.contracts.observed import LONG_AGO

Time = Annotated[datetime, Meta(tz=True)]


def time_of(told: Any) -> datetime:
    """Return a time of a row; one that cannot be read is long ago, and spoils neither its row nor the list (RC-2)."""
    try:
        return convert(told, Time)
    except ValidationError:
        return LONG_AGO


class UserRow(Struct, frozen=True):
    """A person; `role` stands in the workspace's list only: 20 admin, 15 member, 5 guest."""

    id: str
    display_name: str = ""
    role: int = 0


class ProjectRow(Struct, frozen=True):
    """A project; `identifier` is the prefix of its keys."""

    id: str
    identifier: str


class StateRow(Struct, frozen=True):
    """A status."""

    id: str
    name: str
    group: str


class IssueRow(Struct, frozen=True):
    """An issue; `state` is an id here, an object only in webhooks."""

    id: str
    name: str
    sequence_id: int
    state: str | None
    project: str
    created_at: Any = None
    updated_at: Any = None
    description_html: str | None = None


class CommentRow(Struct, frozen=True):
    """A comment; a caller may claim another `created_by`, but `actor` is whose key or session wrote it."""

    id: str
    created_at: Any = None
    comment_html: str | None = None
    actor: str | None = None
    edited_at: Any = None
    updated_by: str | None = None
    """Who edited it last; the answer to its creation names the writer here, every later reading nobody."""
    external_source: str | None = None


class ActivityRow(Struct, frozen=True):
    """One change of an issue; values are names, identifiers are ids, the actor is the key's or session's owner."""

    id: str
    created_at: Any = None
    field: str | None = None
    new_identifier: str | None = None
    actor: str | None = None


class RelatedRow(Struct, frozen=True):
    """The other end of a relation."""

    issue_id: str


class RelationRows(Struct, frozen=True):
    """An issue's relations, of which we read one."""

    blocked_by: list[RelatedRow] = []


class Anything(Struct, frozen=True):
    """An answer of which we need nothing but that it is an object."""
