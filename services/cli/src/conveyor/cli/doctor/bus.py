"""The bus: is it there, is it new enough, and are the streams in place. Looks only; services make what is missing."""

import msgspec
from msgspec import Struct

from conveyor.cli.doctor.finding import Clipboard, Finding
from conveyor.contracts.errors import ConveyorError, PermanentError, TransientError
from conveyor.servicekit.bus import Bus, connect, ready
from conveyor.servicekit.bus.version import NEEDED, require
from conveyor.servicekit.sections import NatsSettings

PATIENCE_S = 3.0


class _Api(Struct):
    level: int | None = None


class _Account(Struct):
    api: _Api = msgspec.field(default_factory=_Api)


async def look(settings: NatsSettings) -> list[Finding]:
    """Return how the bus is."""
    notes = Clipboard("bus")
    try:
        bus = await connect(settings, name="doctor", wait_s=PATIENCE_S)
    except (TransientError, PermanentError) as error:
        if settings.embedded:
            notes.skipped("reachable", str(error), "`conveyor up` brings this server along: start it, then ask again")
        else:
            notes.failed("reachable", str(error), "is nats-server running, and [nats] url right?")
        return notes.findings
    try:
        await _examine(bus, notes)
    finally:
        await bus.close()
    return notes.findings


async def _examine(bus: Bus, notes: Clipboard) -> None:
    notes.ok("reachable", f"it answers at {bus.settings.url}")
    try:
        account = msgspec.json.decode(await bus.api("INFO"), type=_Account)
        require(bus.server_version, account.api.level)
    except TransientError as error:
        notes.failed("version", f"JetStream does not answer: {error}", "start nats-server with -js and a store_dir")
        return
    except ConveyorError as error:
        notes.failed("version", str(error), f"use {NEEDED}")
        return
    notes.ok("version", f"nats-server {bus.server_version}, JetStream API level {account.api.level}")
    try:
        await ready(bus)
    except TransientError as error:
        notes.warning("streams", str(error), "every service makes them when it starts: `conveyor up`")
    else:
        notes.ok("streams", "all are there")
