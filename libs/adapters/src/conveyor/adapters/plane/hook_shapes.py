"""What we read of Plane's webhook bodies; unlike in REST, state, labels and assignees are objects here."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from conveyor.adapters.plane.shapes import Time

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,100}\Z")]
"""Plane's are UUIDs; whatever else they were, they become a part of addresses and keys."""
Number = Annotated[int, Meta(ge=1, le=999_999_999)]
"""The tail of an issue's key."""


class Person(Struct, frozen=True):
    """A person."""

    id: str
    display_name: str = ""


class Activity(Struct, frozen=True):
    """What changed and who did it; values are text, lists, numbers or null."""

    field: str | None = None
    old_value: Any = None
    new_value: Any = None
    actor: Person | None = None


class Envelope(Struct, frozen=True):
    """What every delivery has. `version` came with later webhooks, which are not ours."""

    event: str
    action: str = ""
    webhook_id: str = ""
    version: str = ""
    activity: Activity | None = None


class State(Struct, frozen=True):
    """The issue's state."""

    id: str
    name: str
    group: str


class Named(Struct, frozen=True):
    """A label."""

    name: str


class IssueData(Struct, frozen=True):
    """An issue."""

    id: Id
    project: Id
    sequence_id: Number
    name: str
    state: State
    created_at: Time
    updated_at: Time
    description_html: str | None = None
    labels: list[Named] = []
    assignees: list[Person] = []
    priority: str | None = None
    updated_by: str | None = None
    is_draft: bool = False
    archived_at: str | None = None


class IssueHook(Struct, frozen=True):
    """An issue was created or updated."""

    data: IssueData


class CommentData(Struct, frozen=True):
    """A comment."""

    id: Id
    issue: Id
    project: Id
    created_at: Time
    updated_at: Time
    comment_html: str | None = None
    updated_by: str | None = None
    external_source: str | None = None


class CommentHook(Struct, frozen=True):
    """A comment was written or edited."""

    data: CommentData


class DeletedData(Struct, frozen=True):
    """All that is said of what is gone."""

    id: Id


class DeletedHook(Struct, frozen=True):
    """Something was deleted."""

    data: DeletedData
