"""What one event did to one task: the answer of `decide`, and the record of it that is one message in TASKS."""

from msgspec import Struct, field

from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.task import Task


class Transition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The next task with the commands that follow, or the reason why nothing follows."""

    task: Task | None
    commands: tuple[AnyCommand, ...] = ()
    notes: tuple[str, ...] = ()
    """What was decided, one plain sentence each, for the timeline."""
    ignored: str = ""
    """Why the event changes nothing; empty when it does."""


class TaskRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="type"):
    """One revision of a task: cause, decision, commands and the whole task after it, true together or not at all."""

    task: Task
    event: AnyEvent
    commands: tuple[AnyCommand, ...] = ()
    notes: tuple[str, ...] = ()
    from_stage: str = ""
    v: int = field(default_factory=lambda: 1)
