"""A simulated server as a process of its own: where it listens, and how its world outlives it.

At an orderly end (SIGTERM, Ctrl-C) the world is written to a file and read again at the next start: what a real server
has in its database. A kill loses what happened since the start.
"""

import argparse
import asyncio
import contextlib
import io
import json
import pickle
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from conveyor.simulator.http_server import LOOPBACK


class Server(Protocol):
    """What a simulated server can do to be served here."""

    @property
    def url(self) -> str:
        """Under which URL it is known."""

    def listen_on(self, host: str, public_url: str = "") -> None:
        """Listen on this address from the next start."""

    async def start(self) -> None:
        """Answer and deliver webhooks."""

    async def stop(self) -> None:
        """Do neither any more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every simulated server can be told; `stand` reads it."""
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--public-url", default="", help="how others call it; default: the address it listens on")
    parser.add_argument("--state", type=Path, default=None, help="file that keeps its world between two lives")
    parser.add_argument("--webhook", default="", help="URL to tell of changes")
    parser.add_argument("--webhook-secret", default="", help="what signs those webhooks; default: a new one")


async def stand(
    server: Server, chosen: argparse.Namespace, told: dict[str, Any], at_end: Callable[[], Awaitable[object]]
) -> None:
    """Serve until told to end; `told` is printed with the URL as one JSON line.

    At the end `at_end` may finish what is under way; the world it returns is kept once nobody can ask any more.
    """
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    server.listen_on(chosen.host, chosen.public_url)
    await server.start()
    sys.stdout.write(json.dumps({"url": server.url, **told}) + "\n")
    sys.stdout.flush()
    await ending.wait()
    world = await at_end()
    await server.stop()
    if chosen.state is not None:
        keep(chosen.state, world)


async def at_most(seconds: float, work: Awaitable[object]) -> None:
    """Wait for something, but not longer than this."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work


def keep(path: Path, world: object) -> None:
    """Write a world to a file, whole or not at all."""
    pickled = io.BytesIO()
    _Pickler(pickled).dump(world)
    draft = path.with_suffix(".new")
    draft.write_bytes(pickled.getvalue())
    draft.replace(path)


def kept(path: Path | None) -> Any | None:
    """Return the world that was kept there; None where there is none."""
    if path is None or not path.exists():
        return None
    return pickle.loads(path.read_bytes())  # noqa: S301 - we wrote it; whoever may change it may change us as well


class _Pickler(pickle.Pickler):
    """Writes what belongs to a loop as a fresh one of its kind."""

    def reducer_override(self, thing: object) -> Any:
        """Return how to make it again; NotImplemented for what pickles by itself."""
        if isinstance(thing, asyncio.Event):
            return _event, (thing.is_set(),)
        if isinstance(thing, asyncio.Lock):
            return asyncio.Lock, ()
        return NotImplemented


def _event(is_set: bool) -> asyncio.Event:
    event = asyncio.Event()
    if is_set:
        event.set()
    return event
