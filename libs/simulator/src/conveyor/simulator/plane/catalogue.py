"""The rules by which projects, states and labels come and go; the tracker of issues builds on them."""

from collections.abc import Callable, Iterable
from typing import Any

from conveyor.simulator.plane.happenings import Happening
from conveyor.simulator.plane.world import ADMIN, Label, Project, State, User, World


class Catalogue:
    """What surrounds issues. States and labels change without any webhook; a deleted project is told."""

    def __init__(self, world: World, tell: Callable[[Happening], None]) -> None:
        self.world = world
        self._tell = tell

    def create_project(
        self, name: str, identifier: str, states: Iterable[tuple[str, str, str]], by: User, members: Iterable[User] = ()
    ) -> Project:
        """A project with these states, the first one its default; its maker is its admin."""
        now = self.world.clock.now()
        project = Project(now, self.world.clock.now(), by.id, name=name, identifier=identifier)
        project.members = {**{user.id: user.role for user in members}, by.id: ADMIN}
        self.world.projects[project.id] = project
        for state in states:
            self.create_state(project, state, by)
        return project

    def delete_project(self, project: Project, by: User) -> None:
        """Gone with everything in it, and told."""
        world = self.world
        for issue in [one for one in world.issues.values() if one.project_id == project.id]:
            world.forget_issue(issue.id)
        world.states = {key: one for key, one in world.states.items() if one.project_id != project.id}
        world.labels = {key: one for key, one in world.labels.items() if one.project_id != project.id}
        del world.projects[project.id]
        self._tell(Happening("project", "deleted", project.id, by))

    def create_state(self, project: Project, spec: tuple[str, str, str], by: User) -> State:
        """A state (name, group, color) at the end of the board."""
        now = self.world.clock.now()
        name, group, color = spec
        before = self.world.states_of(project.id)
        state = State(
            now,
            self.world.clock.now(),
            by.id,
            project_id=project.id,
            name=name,
            group=group,
            color=color,
            sequence=before[-1].sequence + 15000.0 if before else 15000.0,
            default=not before,
            slug=name.lower().replace(" ", "-"),
        )
        self.world.states[state.id] = state
        return state

    def create_label(self, project: Project, values: dict[str, Any], by: User) -> Label:
        """A label from REST values, of which `name` must be there."""
        now = self.world.clock.now()
        label = Label(
            now,
            self.world.clock.now(),
            by.id,
            project_id=project.id,
            name=values["name"],
            color=values.get("color", ""),
            sort_order=65535.0 + 10000.0 * len(self.world.labels_of(project.id)),
            description=values.get("description", ""),
            external_source=values.get("external_source"),
            external_id=values.get("external_id"),
        )
        self.world.labels[label.id] = label
        return label
