"""The webhook courier shared by the simulated servers: it takes parcels in order, sends them over HTTP, keeps a record
of every attempt, and loses, doubles, delays or reorders them when a test asks for it.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self

import httpx

from conveyor.simulator.faults import FaultBox

Outcome = Literal["answered", "unreachable", "dropped", "withdrawn"]


@dataclass(frozen=True)
class Policy:
    """How stubborn a server is: attempts in all, the wait between two, and how long an answer may take (seconds)."""

    attempts: int = 1
    retry_delay_s: float = 0.01
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Packed:
    """What goes over the wire, the same bytes at every attempt."""

    body: bytes
    headers: dict[str, str]


@dataclass(eq=False)
class Parcel:
    """One webhook to bring to one receiver.

    `pack` is called once, when the parcel's turn comes, so its body shows the world of that moment; it answers None
    when there is nothing left to tell. `stamp` gives the headers that differ from attempt to attempt.
    `label` is for people and for a fault's `match`. `gave_up` is called when the last attempt reached nobody.
    """

    label: str
    url: str
    pack: Callable[[], Packed | None]
    stamp: Callable[[], dict[str, str]] = dict
    gave_up: Callable[[], None] | None = None


@dataclass(frozen=True)
class Delivery:
    """One attempt and what came of it; `status` is None when no HTTP answer came, `final` when no retry follows."""

    label: str
    url: str
    outcome: Outcome
    attempt: int = 0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    final: bool = True
    error: str = ""

    @property
    def taken(self) -> bool:
        """Whether the receiver answered 2xx."""
        return self.status is not None and self.status // 100 == 2


class Courier(FaultBox):
    """Brings parcels one after the other; late ones (retries, delays) travel on their own and may be overtaken."""

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__()
        self.policy = policy or Policy()
        self.deliveries: list[Delivery] = []
        self._waiting: deque[Parcel] = deque()
        self._held: list[Parcel] | None = None
        self._reordered: list[Parcel] = []
        self._late: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None
        self._client = self._new_client()
        self._posted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Begin to deliver, first what was posted before."""
        if self._client.is_closed:
            self._client = self._new_client()
        self._worker = asyncio.create_task(self._work(), name="webhook-courier")
        self._worker.add_done_callback(lambda _task: self._idle.set())

    async def stop(self) -> None:
        """Stop at once; what has not been sent stays unsent."""
        tasks = [*self._late, *([self._worker] if self._worker else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._worker = None
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.stop()

    def post(self, parcel: Parcel) -> None:
        """Take a parcel; it is packed and sent when its turn comes. Returns at once."""
        if self._held is not None:
            self._held.append(parcel)
        elif (fault := self.take("reorder", parcel.label)) is not None:
            self._reordered.append(parcel)
            if fault.left == 0:
                self._send_on(self._reordered[::-1])
                self._reordered.clear()
        else:
            self._send_on([parcel])

    def hold(self) -> None:
        """Keep every parcel posted from now on, unpacked, as when the sending worker is down."""
        self._held = self._held or []

    def release(self, *, reverse: bool = False) -> int:
        """Send what was held, in order or reversed, and answer how many; packed only now, they show the present."""
        held, self._held = self._held or [], None
        self._send_on(held[::-1] if reverse else held)
        return len(held)

    async def idle(self, timeout_s: float = 10.0) -> None:
        """Wait until nothing is on the way, retries and delays included; held parcels do not count.

        Raises:
            TimeoutError: something was still on the way after `timeout_s` seconds.
            Exception: whatever a parcel's `pack` raised, which ends the courier.
        """
        async with asyncio.timeout(timeout_s):
            await self._idle.wait()
        if self._worker is not None and self._worker.done():
            self._worker.result()

    def failed(self) -> list[Delivery]:
        """Last attempts that the receiver did not take: not reached at all, or answered other than 2xx."""
        lost: tuple[Outcome, ...] = ("answered", "unreachable")
        return [one for one in self.deliveries if one.outcome in lost and one.final and not one.taken]

    def leftovers(self) -> list[str]:
        """What a tidy test must not leave: faults never met, parcels held or waiting, deliveries not taken."""
        told = [f"fault never met: {fault}" for fault in self.faults]
        told += [f"still here: {parcel.label}" for parcel in [*(self._held or ()), *self._reordered, *self._waiting]]
        told += [f"not taken: {one.label}: {one.status or one.error}" for one in self.failed()]
        return told

    def _new_client(self) -> httpx.AsyncClient:
        """A client that opens a new connection for each attempt, as the servers do, and loads no certificates."""
        return httpx.AsyncClient(
            timeout=self.policy.timeout_s,
            follow_redirects=True,
            trust_env=False,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def _send_on(self, parcels: list[Parcel]) -> None:
        if parcels:
            self._waiting.extend(parcels)
            self._idle.clear()
            self._posted.set()

    async def _work(self) -> None:
        while True:
            while self._waiting:
                await self._handle(self._waiting.popleft())
            self._posted.clear()
            self._settle()
            await self._posted.wait()

    async def _handle(self, parcel: Parcel) -> None:
        if self.take("drop", parcel.label) is not None:
            self.deliveries.append(Delivery(parcel.label, parcel.url, "dropped"))
            return
        packed = parcel.pack()
        if packed is None:
            self.deliveries.append(Delivery(parcel.label, parcel.url, "withdrawn"))
            return
        copies = 2 if self.take("duplicate", parcel.label) is not None else 1
        delay = self.take("delay", parcel.label)
        for _ in range(copies):
            if delay is not None:
                self._later(parcel, packed, attempt=1, delay_s=delay.delay_s)
            else:
                await self._attempt(parcel, packed, attempt=1)

    async def _attempt(self, parcel: Parcel, packed: Packed, *, attempt: int) -> None:
        headers = {**packed.headers, **parcel.stamp()}
        outcome: Outcome = "answered"
        status, error = None, ""
        try:
            if self.take("break", parcel.label) is not None:
                raise httpx.ConnectError("connection refused by an ordered fault")
            answer = await self._client.post(parcel.url, content=packed.body, headers=headers)
            status = answer.status_code
        except httpx.HTTPError as failure:
            outcome, error = "unreachable", repr(failure)
        final = outcome == "answered" or attempt >= self.policy.attempts
        self.deliveries.append(
            Delivery(parcel.label, parcel.url, outcome, attempt, status, headers, packed.body, final, error)
        )
        if not final:
            self._later(parcel, packed, attempt=attempt + 1, delay_s=self.policy.retry_delay_s)
        elif outcome == "unreachable" and parcel.gave_up is not None:
            parcel.gave_up()

    def _later(self, parcel: Parcel, packed: Packed, *, attempt: int, delay_s: float) -> None:
        async def travel() -> None:
            await asyncio.sleep(delay_s)
            await self._attempt(parcel, packed, attempt=attempt)

        task = asyncio.create_task(travel(), name=f"webhook-late-{parcel.label}")
        self._late.add(task)
        task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        self._settle()

    def _settle(self) -> None:
        if not self._waiting and not self._late and not self._posted.is_set():
            self._idle.set()
