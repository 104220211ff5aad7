"""What `nats account backup` and `nats account restore` do, over JetStream's own API."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
from nats.aio.msg import Msg

from conveyor.servicekit.bus import Bus


@dataclass
class Snapshot:
    """One stream: its configuration and state as the server told them, and its data."""

    name: str
    told: dict[str, Any]
    chunks: list[bytes] = field(default_factory=list)


async def backed_up(bus: Bus) -> list[Snapshot]:
    """Return every stream with its consumers, in the order of their names."""
    names = msgspec.json.decode(await bus.api("STREAM.NAMES"))["streams"]
    return [await _snapshot(bus, name) for name in sorted(names)]


async def _snapshot(bus: Bus, name: str) -> Snapshot:
    chunks: list[bytes] = []
    ended = asyncio.Event()

    async def take(message: Msg) -> None:
        if not message.data:
            ended.set()
            return
        chunks.append(message.data)
        if message.reply:
            await bus.send(message.reply)  # the server sends on as chunks are taken

    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, take)
    asked = {"deliver_subject": inbox, "no_consumers": False, "chunk_size": 65_536}
    told = msgspec.json.decode(await bus.api(f"STREAM.SNAPSHOT.{name}", asked))
    async with asyncio.timeout(10):
        await ended.wait()
    await subscription.unsubscribe()
    return Snapshot(name, told, chunks)


async def restore(bus: Bus, snapshots: list[Snapshot]) -> None:
    """Make these streams anew on a server that has none of them."""
    for snapshot in snapshots:
        asked = {"config": snapshot.told["config"], "state": snapshot.told["state"]}
        door = msgspec.json.decode(await bus.api(f"STREAM.RESTORE.{snapshot.name}", asked))["deliver_subject"]
        for chunk in snapshot.chunks:
            await bus.request(door, chunk)
        ended = msgspec.json.decode((await bus.request(door, b"")).data)
        assert "error" not in ended, ended
