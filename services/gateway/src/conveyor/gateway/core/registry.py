"""The projects we serve, found by whatever name a delivery uses, and what we know of them when one comes in."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from conveyor.contracts.ids import key_of_branch
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.project import Project


class Registry:
    """The configured projects by tracker project, by repository and by key prefix."""

    def __init__(self, projects: Iterable[Project]) -> None:
        self.projects = tuple(projects)
        self._by_tracker = {project.tracker_project_id: project for project in self.projects}
        self._by_identifier = {project.identifier: project for project in self.projects}

    def of_tracker(self, tracker_project_id: str) -> Project | None:
        """Return the project that a tracker project stands for."""
        return self._by_tracker.get(tracker_project_id)

    def of_key(self, key: str) -> Project | None:
        """Return the project that an issue key belongs to."""
        return self._by_identifier.get(key.rpartition("-")[0])

    def of_repository(self, repository: str) -> tuple[Project, ...]:
        """Return the projects that work on a repository; the forge's names know no case."""
        wanted = repository.lower()
        return tuple(project for project in self.projects if project.repository.lower() == wanted)

    def task_of_branch(self, repository: str, branch: str) -> tuple[Project, str] | None:
        """Return the project and key that a branch of this repository belongs to; None for a branch not ours."""
        key = key_of_branch(branch)
        project = self.of_key(key)
        return (project, key) if project is not None and project in self.of_repository(repository) else None


class Situation(Struct, frozen=True, kw_only=True):
    """What is known from elsewhere when a delivery comes in."""

    received_at: datetime
    delivery_id: str = ""
    own_id: str = ""
    """Our own account at the source: user id at Plane, login at Gitea."""
    states: tuple[TrackerState, ...] = ()
    """The states of the tracker project the delivery is about."""
