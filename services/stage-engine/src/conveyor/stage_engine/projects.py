"""The configured projects with their pipelines, found by name; an unknown one is an error that says what to do."""

from msgspec import structs

from conveyor.contracts.errors import PermanentError, SettingsError
from conveyor.contracts.pipeline import MERGE, Pipeline
from conveyor.contracts.project import Project


class Projects:
    """Projects by name, each with the pipeline that rules its tasks (the project's approvers in it).

    SettingsError when two of them cannot be told apart, or a pipeline is missing.
    """

    def __init__(self, projects: tuple[Project, ...], pipelines: dict[str, Pipeline]) -> None:
        for field in ("name", "identifier", "tracker_project_id"):
            _refuse_twins(field, [getattr(project, field) for project in projects])
        self._projects = {project.name: project for project in projects}
        self._pipelines: dict[str, Pipeline] = {}
        for project in projects:
            if project.pipeline not in pipelines:
                known = ", ".join(sorted(pipelines))
                raise SettingsError(
                    f"project.{project.name}.pipeline: no pipeline {project.pipeline!r}; known: {known}"
                )
            pipeline = structs.replace(pipelines[project.pipeline], approvers=project.approvers)
            self._pipelines[project.name] = _monitored(pipeline, project)

    def project(self, name: str) -> Project:
        """Return the project; PermanentError when the configuration has none of that name."""
        if name not in self._projects:
            raise PermanentError(f"no [[project]] is called {name!r}: add it to the configuration, then replay")
        return self._projects[name]

    def pipeline(self, name: str) -> Pipeline:
        """Return the project's pipeline; PermanentError as above."""
        self.project(name)
        return self._pipelines[name]

    def sharing(self, name: str) -> tuple[Project, ...]:
        """Return the projects on this one's repository, itself among them; PermanentError as above."""
        repository = self.project(name).repository.casefold()
        return tuple(project for project in self._projects.values() if project.repository.casefold() == repository)


def _refuse_twins(field: str, values: list[str]) -> None:
    for one in values:
        if values.count(one) > 1:
            raise SettingsError(f"project: {one!r} is the {field} of two: what comes for one would go to the other")


def _monitored(pipeline: Pipeline, project: Project) -> Pipeline:
    """Watch what was deployed where the project has a health address and the pipeline names no time (SE-18)."""
    if not project.health_url or any(stage.monitor_s for stage in pipeline.stages):
        return pipeline
    stages = tuple(
        structs.replace(stage, monitor_s=project.monitor_s) if stage.entry == MERGE else stage
        for stage in pipeline.stages
    )
    return structs.replace(pipeline, stages=stages)
