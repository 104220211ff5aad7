"""The sandbox: what keeps an agent in its place on this machine and what does not, by the runner's own word."""

import os

from conveyor.cli.doctor.finding import Clipboard, Finding
from conveyor.runner.sandbox import SandboxSettings
from conveyor.runner.sandbox import look as try_walls
from conveyor.runner.sandbox import report as holdings
from conveyor.servicekit.settings import environment_with


async def look(settings: SandboxSettings) -> list[Finding]:
    """Return what holds here; what does not is a failure where the settings insist on it."""
    notes = Clipboard("sandbox")
    ability = await try_walls(environment_with({}).get("PATH", os.defpath))
    insists = settings.mode == "bubblewrap"
    for one in holdings(settings, ability):
        if one.holds:
            notes.ok(one.what, one.why)
        elif insists:
            notes.failed(one.what, one.why, "the runner refuses to start like this: see above, or set another mode")
        else:
            notes.warning(one.what, one.why, "give the runner a machine or container of its own, or see above")
    return notes.findings
