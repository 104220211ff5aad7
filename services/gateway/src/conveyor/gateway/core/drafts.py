"""What `admit` answers: an event that may still lack its task, or why there is none."""

from enum import StrEnum

from msgspec import Struct, structs

from conveyor.contracts.events import AnyEvent


class IgnoredKind(StrEnum):
    """The closed list of reasons, for counting (GW-5)."""

    UNKNOWN_PROJECT = "unknown_project"
    UNUSED_KIND = "unused_kind"
    OWN_ACCOUNT = "own_account"
    NO_TASK = "no_task"
    SUPERSEDED = "superseded"
    TEST = "test"
    UNSUPPORTED = "unsupported"
    """A way of telling that we do not read; somebody has to change the sender's settings."""


class Ignored(Struct, frozen=True):
    """A delivery that becomes no event: the reason for counting, and a sentence for who looks."""

    kind: IgnoredKind
    reason: str


class Draft(Struct, frozen=True, kw_only=True):
    """An event; while its `key` is empty, what the shell has to look up to find the task it is about."""

    event: AnyEvent
    tracker_project_id: str = ""
    issue_id: str = ""
    """Ask by which issue the task is known."""
    repository: str = ""
    sha: str = ""
    """Ask which task's branch this commit is the head of (GW-8)."""

    @property
    def is_complete(self) -> bool:
        """Whether it can be published as it is."""
        return bool(self.event.key)


def about(event: AnyEvent, project: str, key: str) -> AnyEvent:
    """Return the event as one of this task."""
    return structs.replace(event, project=project, key=key)
