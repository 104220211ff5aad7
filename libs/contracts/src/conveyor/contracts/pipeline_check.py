"""What must hold of a pipeline before anything runs on it; wrong ones are refused when they are loaded."""

from collections.abc import Iterator

import msgspec

from conveyor.contracts.errors import SettingsError
from conveyor.contracts.ids import is_token
from conveyor.contracts.pipeline import MERGE, Pipeline, Stage
from conveyor.contracts.statuses import STATUS_KEYS
from conveyor.contracts.task import CANCELLED, CREATED, DONE

CHECKS = (
    "analysis_complete",
    "analysis_approved",
    "architecture_done",
    "has_changes",
    "ci_green",
    "tests_local",
    "reviewer_verdict",
    "review_approved",
    "tests_passed",
    "branch_mergeable",
    "deploy_status",
    "healthy",
    "command",
)
"""Every check a gate may name (SE-8); the engine's registry has one function for each."""

EFFECT_CHECKS = (MERGE,)
"""What can reject beside checks."""

_RESERVED = (CREATED, DONE, CANCELLED)


def load_pipeline(text: bytes, where: str, checks: tuple[str, ...] = CHECKS) -> Pipeline:
    """Return the pipeline in this TOML text; SettingsError names `where`, the path and what was expected."""
    try:
        pipeline = msgspec.toml.decode(text, type=Pipeline)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{where}: not a pipeline: expected UTF-8: {error.reason} at byte {error.start}") from error
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{where}: not a pipeline: {error}") from error
    problems = tuple(problems_of(pipeline, checks))
    if problems:
        raise SettingsError(f"{where}: pipeline {pipeline.name!r} cannot run:\n  - " + "\n  - ".join(problems))
    return pipeline


def problems_of(pipeline: Pipeline, checks: tuple[str, ...] = CHECKS) -> Iterator[str]:
    """Yield every reason why this pipeline cannot run, in the words of the one who has to mend it."""
    if not pipeline.stages:
        yield "stages: expected at least one [[stages]]"
    names = [stage.name for stage in pipeline.stages]
    for name in names:
        if name in _RESERVED:
            yield f"stages: {name!r} is a reserved name; call the stage otherwise"
        if names.count(name) > 1:
            yield f"stages: {name!r} stands more than once; names must differ"
    if "{key}" not in pipeline.docs_dir:
        yield f"docs_dir: expected {{key}} in it, or tasks overwrite each other; it is {pipeline.docs_dir!r}"
    if pipeline.failure_attempts < 1 or pipeline.transient_attempts < 1:
        yield "failure_attempts, transient_attempts: expected at least 1 each"
    for stage in pipeline.stages:
        yield from _problems_of_stage(pipeline, stage, checks)


def _problems_of_stage(pipeline: Pipeline, stage: Stage, checks: tuple[str, ...]) -> Iterator[str]:
    place = f"stages.{stage.name}"
    if not stage.gate:
        yield f"{place}.gate: a stage without a gate is a dead end; name at least one of: {', '.join(checks)}"
    for check in stage.gate:
        if check not in checks:
            yield f"{place}.gate: unknown check {check!r}; known: {', '.join(checks)}"
    if stage.entry not in ("", MERGE):
        yield f"{place}.entry: expected {MERGE!r} or nothing, it is {stage.entry!r}"
    yield from _problems_of_values(stage, place)
    if (shown := stage.status or stage.name) not in STATUS_KEYS:
        yield f"{place}.status: {shown!r} is no logical status; name one of: {', '.join(STATUS_KEYS)}"
    if stage.rejected_to:
        yield from _problems_of_way_back(pipeline, stage, stage.rejected_to, f"{place}.rejected_to")
    yield from _problems_of_edges(pipeline, stage)


def _problems_of_values(stage: Stage, place: str) -> Iterator[str]:
    if not is_token(stage.pool):
        yield f"{place}.pool: expected letters, digits, dashes or underscores, it is {stage.pool!r}"
    if stage.timeout_s < 1:
        yield f"{place}.timeout_s: expected at least 1 second, it is {stage.timeout_s}"
    if stage.monitor_s < 0:
        yield f"{place}.monitor_s: expected 0 or more seconds, it is {stage.monitor_s}"


def _problems_of_way_back(pipeline: Pipeline, stage: Stage, to: str, place: str) -> Iterator[str]:
    if pipeline.stage(to) is None:
        yield f"{place}: no stage is called {to!r}"
    elif pipeline.index(to) > pipeline.index(stage.name):
        yield f"{place}: {to!r} comes later; the way is back (or to the stage itself)"


def _problems_of_edges(pipeline: Pipeline, stage: Stage) -> Iterator[str]:
    seen: set[str] = set()
    for edge in stage.edges:
        place = f"stages.{stage.name}.edges.{edge.on}"
        if edge.on in seen:
            yield f"{place}: stands more than once; a rejection has one way back"
        seen.add(edge.on)
        if edge.on not in (*stage.gate, *(EFFECT_CHECKS if stage.entry else ())):
            yield f"{place}: this stage's gate has no such check, so the edge can never be taken"
        if edge.status and edge.status not in STATUS_KEYS:
            yield f"{place}.status: {edge.status!r} is no logical status; name one of: {', '.join(STATUS_KEYS)}"
        yield from _problems_of_way_back(pipeline, stage, edge.to, f"{place}.to")
        if not 1 <= edge.cap <= 100:
            yield f"{place}.cap: expected 1 to 100, so that the loop ends; it is {edge.cap}"
