"""A transition while it is being decided: the task as it will be, the commands so far, and what to tell people."""

from typing import Any, TypeVar

from msgspec import structs

from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.events import AnyEvent
from conveyor.contracts.ids import command_id
from conveyor.contracts.pipeline import Pipeline, Stage
from conveyor.contracts.task import Task
from conveyor.contracts.transition import Transition

C = TypeVar("C", bound=AnyCommand)


class Draft:
    """Collects one transition. Lives inside one call of `decide` and is seen by nobody else."""

    def __init__(self, pipeline: Pipeline, task: Task, event: AnyEvent) -> None:
        self.pipeline = pipeline
        self.event = event
        self.before = task
        self.task = structs.replace(task, revision=task.revision + 1)
        self.commands: list[AnyCommand] = []
        self.notes: list[str] = []

    def change(self, **fields: Any) -> None:
        """Set fields of the task."""
        self.task = structs.replace(self.task, **fields)

    def order(self, kind: type[C], **fields: Any) -> C:
        """Add a command; its id derives from task, revision and position (rule 3)."""
        command = kind(
            command_id=command_id(self.task.project, self.task.key, self.task.revision, len(self.commands)),
            project=self.task.project,
            key=self.task.key,
            revision=self.task.revision,
            trace_id=self.event.trace_id,
            issued_at=self.event.at,
            **fields,
        )
        self.commands.append(command)
        return command

    def note(self, text: str) -> None:
        """Add a sentence for the timeline."""
        self.notes.append(text)

    @property
    def stage(self) -> Stage:
        """The stage the task stands in; the first one for a task that has not begun."""
        return self.pipeline.stage(self.task.stage) or self.pipeline.stages[0]

    def finish(self) -> Transition:
        """Return the transition; the wait is dated anew when what the task waits for changed."""
        moved = (self.task.stage, self.task.waiting, self.task.run, self.task.awaiting) != (
            self.before.stage,
            self.before.waiting,
            self.before.run,
            self.before.awaiting,
        )
        if moved or self.task.since is None:
            self.change(since=self.event.at)
        return Transition(task=self.task, commands=tuple(self.commands), notes=tuple(self.notes))


def ignore(task: Task | None, reason: str) -> Transition:
    """Return the transition that changes nothing, with the reason why."""
    return Transition(task=task, ignored=reason)
