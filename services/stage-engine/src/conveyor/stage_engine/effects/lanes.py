"""Which effects wait for each other: merges those of their repository, whichever project they belong to (SE-16)."""

from conveyor.contracts import subjects
from conveyor.servicekit.bus import Delivery
from conveyor.stage_engine.projects import Projects


class MergeLanes:
    """One lane a repository."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    def lane(self, delivery: Delivery) -> str:
        """Return the repository of a merge; PermanentError when its project is not configured."""
        return self._projects.project(_project_of(delivery)).repository.casefold()

    def beside(self, delivery: Delivery) -> tuple[str, ...]:
        """Return the subjects of all merges that share the repository's queue with this one; errors as above."""
        return tuple(subjects.effects_of("merge", one.name) for one in self._projects.sharing(_project_of(delivery)))


def of_task(delivery: Delivery) -> str:
    """Every effect of one task on one target: `command.effect.<target>.<project>.<key>.<id>`."""
    return delivery.subject.rpartition(".")[0] + ".>"


def of_command(delivery: Delivery) -> str:
    """A lane of its own for each: what only waits keeps nobody waiting."""
    return delivery.subject


def _project_of(delivery: Delivery) -> str:
    return delivery.subject.split(".")[3]
