"""The tracker: whose key it is, whether the bot is apart from the people, projects, statuses and the rate limit."""

from collections.abc import Iterable

from conveyor.cli.doctor.finding import Clipboard, Finding
from conveyor.cli.doctor.people import look_at_people
from conveyor.cli.outside import Tracker
from conveyor.contracts.errors import ConveyorError, PermanentError
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.project import Project
from conveyor.contracts.spoken import start_state_id
from conveyor.servicekit.sections import PlaneSettings

VERDICTS = ("approved", "rejected")
ALWAYS = ("blocked", "needs_input", "done", "cancelled")
"""What every pipeline shows beside its stages."""
SCARCE = 15
"""Fewer calls than this are left in the minute: somebody else uses the key."""


Ruled = tuple[Project, Pipeline]
"""A project and the pipeline that rules its tasks."""


async def look(tracker: Tracker, settings: PlaneSettings, projects: Iterable[Ruled]) -> list[Finding]:
    """Return how the tracker is, project by project."""
    notes = Clipboard("tracker")
    try:
        bot_id = await tracker.me()
    except ConveyorError as error:
        notes.trouble("api key", error, "are [plane] url and api_key right, and is Plane running?")
        return notes.findings
    notes.ok("api key", f"Plane answers at {settings.url} and knows the key; it belongs to the user {bot_id}")
    if settings.bot_user_id and settings.bot_user_id != bot_id:
        notes.failed(
            "bot user",
            f"[plane] bot_user_id is {settings.bot_user_id}, but the key belongs to {bot_id}: its changes would be "
            "taken for a person's",
            "remove bot_user_id, or use a key of that account",
        )
    for ruled in projects:
        await _project(tracker, ruled, bot_id, notes.of(ruled[0].name))
    _rate(tracker, notes)
    return notes.findings


async def _project(tracker: Tracker, ruled: Ruled, bot_id: str, notes: Clipboard) -> None:
    project, pipeline = ruled
    try:
        identifier = await tracker.identifier(project.tracker_project_id)
    except ConveyorError as error:
        advice = "is tracker_project_id the UUID in the project's address, and is the bot a member of the project?"
        notes.trouble("project", error, advice)
        return
    if identifier != project.identifier:
        told = f"its keys begin with {identifier}-, the configuration says {project.identifier}-"
        notes.failed("project", told, f'set identifier = "{identifier}", or the right tracker_project_id')
    else:
        notes.ok("project", f"it is there, its keys begin with {identifier}-")
    try:
        await _states(tracker, project, pipeline, notes)
        look_at_people(await tracker.members(project.tracker_project_id), project, bot_id, notes)
    except ConveyorError as error:
        notes.trouble("states and people", error, "is the bot a member of the project?")


async def _states(tracker: Tracker, project: Project, pipeline: Pipeline, notes: Clipboard) -> None:
    """Say what starts a task, and which statuses are shown by another one or not at all (SE-13)."""
    states = await tracker.states(project.tracker_project_id)
    starts = start_state_id(project, states)
    by_id = {state.state_id: state.name for state in states}
    if starts:
        notes.ok("start status", f"a task starts when its issue is moved to {by_id[starts]}")
    else:
        told = f"the project has none of {', '.join(project.start_statuses)}: no task would ever start"
        notes.failed("start status", told, "add one of them in Plane, or set start_statuses")
    degraded, missing = [], []
    for key in shown(pipeline):
        if await tracker.own_state(project.tracker_project_id, key) is not None:
            continue
        try:
            degraded.append(f"{key} as {(await tracker.resolve(project.tracker_project_id, key)).name}")
        except PermanentError:
            missing.append(key)
    if missing:
        told = f"nothing in the project can show: {', '.join(missing)}"
        notes.failed("statuses", told, "add statuses with these names in Plane")
    elif degraded:
        told = f"shown by another status: {', '.join(degraded)}"
        notes.warning("statuses", told, "add statuses with these names in Plane to tell them apart")
    else:
        notes.ok("statuses", "every stage has its own")
    await _verdicts(tracker, project, notes)


async def _verdicts(tracker: Tracker, project: Project, notes: Clipboard) -> None:
    without = [key for key in VERDICTS if await tracker.own_state(project.tracker_project_id, key) is None]
    if without:
        told = f"no status called {' or '.join(key.capitalize() for key in without)}: people can only comment"
        advice = "add them in Plane, or tell people of comments that begin with :approved: or :rejected:"
        notes.warning("verdicts", told, advice)
    else:
        notes.ok("verdicts", "people can approve and reject by status and by comment")


def shown(pipeline: Pipeline) -> tuple[str, ...]:
    """Return every logical status that tasks of this pipeline are shown in, in its order."""
    edges = (edge.status for stage in pipeline.stages for edge in stage.edges if edge.status)
    return tuple(dict.fromkeys((*(stage.status or stage.name for stage in pipeline.stages), *edges, *ALWAYS)))


def _rate(tracker: Tracker, notes: Clipboard) -> None:
    left = tracker.remaining_calls
    if left is None:
        notes.skipped("rate limit", "Plane does not say how many calls are left")
    elif left < SCARCE:
        told = f"{left} calls are left in this minute"
        advice = "give the reconciler a key of its own (polling_api_key), or raise Plane's API_KEY_RATE_LIMIT"
        notes.warning("rate limit", told, advice)
    else:
        notes.ok("rate limit", f"{left} calls are left in this minute")
