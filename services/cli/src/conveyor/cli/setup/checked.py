"""Whether the configuration is good: what each service makes of it, and what only all of it together can say."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from conveyor.cli.setup.addresses import fault_of
from conveyor.contracts.errors import SettingsError
from conveyor.contracts.pipeline import Pipeline
from conveyor.gateway.settings import Settings as Gateway
from conveyor.reconciler.settings import Settings as Reconciler
from conveyor.runner.settings import Settings as Runner
from conveyor.runner.settings import check as check_runner
from conveyor.runner.settings import with_presets
from conveyor.servicekit.sections import pipelines_of
from conveyor.servicekit.settings import load
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.settings import Settings as Engine

S = TypeVar("S", bound=Struct)


class Reading(Struct, frozen=True, kw_only=True):
    """The configuration as each service reads it; None where it cannot."""

    path: Path
    gateway: Gateway | None
    engine: Engine | None
    runner: Runner | None
    reconciler: Reconciler | None
    faults: tuple[str, ...]
    """What is wrong, a sentence each that names file, path and what was expected."""


def read(path: Path, formats: Collection[str]) -> Reading:
    """Return the configuration in this file with everything that is wrong with it; `formats` are agents' outputs."""
    faults: list[str] = []
    gateway, engine = _loaded(Gateway, path, faults), _loaded(Engine, path, faults)
    runner, reconciler = _loaded(Runner, path, faults), _loaded(Reconciler, path, faults)
    if gateway is not None:
        faults += _of_addresses(gateway)
    if engine is not None:
        faults += _of_projects(engine, runner, path)
    if runner is not None:
        faults += _of_runner(runner, formats)
    return Reading(
        path=path,
        gateway=gateway,
        engine=engine,
        runner=runner,
        reconciler=reconciler,
        faults=tuple(dict.fromkeys(faults)),
    )


def _loaded(kind: type[S], path: Path, faults: list[str]) -> S | None:
    try:
        return load(kind, path)
    except SettingsError as error:
        faults.append(str(error))
        return None


def _of_addresses(gateway: Gateway) -> Iterator[str]:
    """Yield which servers could not even be asked."""
    named = {
        "plane.url": gateway.plane.url,
        "gitea.url": gateway.gitea.url,
        "gateway.public_url": gateway.gateway.public_url,
    }
    yield from (f"{name}: {fault}" for name, url in named.items() if url and (fault := fault_of(url)))


def _of_projects(engine: Engine, runner: Runner | None, path: Path) -> Iterator[str]:
    """Yield what is wrong with projects and their pipelines."""
    if not engine.project:
        yield "project: there is none; add at least one [[project]]"
    for field in ("name", "identifier", "tracker_project_id"):
        values = [getattr(project, field) for project in engine.project]
        yield from (
            f"project: {one!r} is the {field} of two" for one in {one for one in values if values.count(one) > 1}
        )
    try:
        pipelines = pipelines_of(engine.pipelines, path)
        projects = Projects(engine.project, pipelines)
    except SettingsError as error:
        yield str(error)
        return
    if runner is not None:
        for project in engine.project:
            yield from _of_agents(projects.pipeline(project.name), runner)


def _of_agents(pipeline: Pipeline, runner: Runner) -> Iterator[str]:
    for stage in pipeline.stages:
        agent = pipeline.agent_of(stage)
        if agent not in runner.agents:
            known = ", ".join(sorted(runner.agents)) or "none"
            yield f"pipeline {pipeline.name}: stage {stage.name} is for the agent {agent!r}; configured: {known}"


def _of_runner(runner: Runner, formats: Collection[str]) -> Iterator[str]:
    try:
        check_runner(runner)
    except SettingsError as error:
        yield str(error)
    for name, agent in with_presets(runner).agents.items():
        if agent.output not in formats:
            yield f"agents.{name}.output: {agent.output!r} is not one of {', '.join(sorted(formats))}"
