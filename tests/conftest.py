"""Fixtures for every test: a real nats-server per worker, a connection, waiting with a deadline, a clock."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import structlog

from conveyor.servicekit.bus import Bus, connect, provision
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings

T = TypeVar("T")
Condition = Callable[[], Any]


async def wait_until(condition: Condition, *, timeout_s: float = 10.0) -> Any:
    """Return the condition's value once it is true; it may be async. AssertionError after the deadline."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not true within {timeout_s} s: {inspect.getsource(condition).strip()}")
        await asyncio.sleep(0.01)  # waits: between two looks at the condition


@pytest.fixture(autouse=True)
def _logs_stay_in_their_test() -> Iterator[None]:
    """Logging that a test configured, to its own captured output, ends with it."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(handler)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """Waits for a condition with a deadline, 10 s unless `timeout_s` says otherwise."""
    return wait_until


class HandClock:
    """A clock that stands still until `advance` moves it; sleepers wake in their order."""

    def __init__(self, at: datetime | None = None) -> None:
        self._start = at or datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
        self._passed_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    @property
    def sleepers(self) -> int:
        """How many wait for this clock now."""
        return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._passed_s + seconds, waker)
        self._sleepers.append(entry)
        try:
            await waker
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking who is due and letting them run in between."""
        end = self._passed_s + seconds
        await _let_run()
        while due := sorted((entry for entry in self._sleepers if entry[0] <= end), key=lambda entry: entry[0]):
            at, waker = due[0]
            self._passed_s = max(self._passed_s, at)
            self._sleepers.remove(due[0])
            if not waker.done():
                waker.set_result(None)
            await _let_run()
        self._passed_s = end
        await _let_run()


async def _let_run() -> None:
    """Let every task that can run do so, as far as a few turns of the loop take it."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> HandClock:
    """A clock moved by hand: `await clock.advance(30)`."""
    return HandClock()


@pytest.fixture(scope="session")
def _shared_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    """One nats-server for all tests of this worker; without fsync, since nothing here loses power."""
    server = NatsProcess(tmp_path_factory.mktemp("nats"), sync="default")
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def nats(_shared_nats: NatsProcess) -> NatsProcess:
    """This worker's nats-server, running and without any stream."""
    if not _shared_nats.is_running:
        await _shared_nats.start()
    # The server removes an account's folder when the last stream has gone, but only after its answer: a stream made
    # meanwhile would find no place. A folder that is not empty stays.
    (_shared_nats.directory / "jetstream" / "jetstream" / "$G" / "streams" / ".kept").mkdir(parents=True, exist_ok=True)
    await _forget_everything(_shared_nats.url)
    return _shared_nats


@pytest.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[NatsProcess]:
    """A nats-server for one test alone, every write synced: to kill and start again."""
    async with NatsProcess(tmp_path / "own-nats") as server:
        yield server


@pytest.fixture
async def bus(nats: NatsProcess) -> AsyncIterator[Bus]:
    """A connection to `nats` with all streams and buckets in place."""
    connection = await connect(NatsSettings(url=nats.url), name="test")
    try:
        await provision(connection)
        yield connection
    finally:
        await connection.close()


async def _forget_everything(url: str) -> None:
    connection = await connect(NatsSettings(url=url), name="cleaner")
    try:
        names = msgspec.json.decode(await connection.api("STREAM.NAMES")).get("streams") or ()
        for name in names:
            await connection.api(f"STREAM.DELETE.{name}")
    finally:
        await connection.close()
