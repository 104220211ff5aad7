"""All areas together: what can be looked at with this configuration, side by side, and why the rest cannot."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

from conveyor.cli.doctor import agents, bus, clocks, disk, forge, sandbox, tracker, webhooks
from conveyor.cli.doctor.finding import Area, Clipboard, Finding
from conveyor.cli.doctor.tracker import Ruled
from conveyor.cli.outside import Outside
from conveyor.cli.setup.checked import Reading
from conveyor.contracts.errors import SettingsError
from conveyor.gateway.settings import Settings as Gateway
from conveyor.servicekit.sections import NatsSettings, pipelines_of
from conveyor.stage_engine.projects import Projects

Work = Awaitable[list[Finding]]


async def examine(reading: Reading, nats: NatsSettings, outside: Outside) -> tuple[Finding, ...]:
    """Return what was found everywhere, in the order of the areas."""
    works: list[Work] = [_configuration(reading), bus.look(nats)]
    if reading.gateway is not None:
        works.append(both_ends(reading, reading.gateway, outside))
        works.append(clocks.look(_clocks(reading.gateway)))
    else:
        works.extend(_unread(area, reading) for area in ("tracker", "forge", "webhooks", "clocks"))
    if reading.runner is not None:
        works.append(agents.look(reading.runner))
        works.append(sandbox.look(reading.runner.runner.sandbox))
    else:
        works.extend(_unread(area, reading) for area in ("agents", "sandbox"))
    works.append(asyncio.to_thread(disk.look, folders(reading, nats)))
    return tuple(finding for found in await asyncio.gather(*works) for finding in found)


async def _configuration(reading: Reading) -> list[Finding]:
    notes = Clipboard("configuration")
    for fault in reading.faults:
        notes.failed("file", fault, "correct it; `conveyor config check` looks at nothing else")
    if not reading.faults:
        notes.ok("file", f"every service can start with {reading.path}")
    return notes.findings


async def both_ends(reading: Reading, settings: Gateway, outside: Outside) -> list[Finding]:
    """Look at tracker and forge, then at the webhooks between them and us."""
    notes = Clipboard("configuration")
    try:
        asked = outside.tracker(settings.plane)
        kept = outside.forge(settings.gitea)
    except SettingsError as error:
        notes.failed("addresses", str(error), "correct it; neither tracker, forge nor webhooks can be looked at before")
        return notes.findings
    try:
        found = await asyncio.gather(
            tracker.look(asked, settings.plane, ruled(reading, settings)) if settings.plane.url else _unset("tracker"),
            forge.look(kept, settings.gitea, settings.project) if settings.gitea.url else _unset("forge"),
            webhooks.look(settings, kept),
        )
    finally:
        await asked.close()
        await kept.close()
    return [finding for area in found for finding in area]


def ruled(reading: Reading, settings: Gateway) -> list[Ruled]:
    """Return the projects with their pipelines; the one that ships where a project's own cannot be read."""
    own = pipelines_of({}, None)["default"]
    try:
        known = pipelines_of(reading.engine.pipelines if reading.engine else {}, reading.path)
        projects = Projects(settings.project, known)
    except SettingsError:
        return [(project, own) for project in settings.project]
    return [(project, projects.pipeline(project.name)) for project in settings.project]


def _clocks(settings: Gateway) -> dict[str, str]:
    named = {"tracker": settings.plane.url, "forge": settings.gitea.url}
    named["gateway"] = webhooks.place_of(settings.gateway).public
    return {name: url for name, url in named.items() if url}


def folders(reading: Reading, nats: NatsSettings) -> dict[str, Path]:
    """Return the folders that hold data on this machine, by what they are for."""
    found = {}
    if nats.embedded:
        found["bus"] = nats.data_dir
    if reading.gateway is not None:
        found["spool"] = reading.gateway.gateway.spool_dir
    if reading.runner is not None:
        found["runner"] = reading.runner.runner.root
    return {name: (reading.path.parent / folder).resolve() for name, folder in found.items()}


async def _unread(area: Area, reading: Reading) -> list[Finding]:
    notes = Clipboard(area)
    notes.skipped("settings", f"{reading.path} cannot be read for this, see configuration")
    return notes.findings


async def _unset(area: Area) -> list[Finding]:
    notes = Clipboard(area)
    section = "plane" if area == "tracker" else "gitea"
    notes.failed("address", f"[{section}] url is not set", "set it, and the key of the bot's account")
    return notes.findings
