"""Taking from several queues in the order of priority: asks each for what is there now, and sleeps when all are empty.

A long-standing pull on every queue would bring more than there is room for; so an empty round waits for a doorbell
(the publishes themselves, seen over core NATS) or a second, whichever comes first.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from conveyor.contracts.errors import TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.consumer import ConsumerSpec, ensure_consumer
from conveyor.servicekit.bus.delivery import Delivery, delivery_of

LOOK_EVERY_S = 1.0
ANSWER_TIMEOUT_S = 2.0
_ECHOES_S = (0.005, 0.05)
"""A bell may ring before the message is stored; so empty rounds after a ring look again, soon and once more later."""
_NOTHING_LEFT = ("404", "408")
_log = logs.get("take")


class Taker:
    """Takes what is there now, the first queue before the second. An async context: it listens while inside."""

    def __init__(self, bus: Bus, specs: tuple[ConsumerSpec, ...]) -> None:
        self._bus = bus
        self._specs = specs
        self._bell = asyncio.Event()
        self._echoes: tuple[float, ...] = ()
        self._is_made = False
        self._inbox = ""
        self._asked = 0
        self._found: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscriptions: list[Subscription] = []
        self._forget: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Look again now."""
        self._bell.set()

    async def __aenter__(self) -> Self:
        self._forget = self._bus.on_reconnect(self._lost)
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        self._forget()
        for subscription in self._subscriptions:
            await self._bus.unsubscribe(subscription)

    async def take(self, room: int) -> list[Delivery]:
        """Return at most `room` deliveries; none when there is none, or no server to ask."""
        taken: list[Delivery] = []
        try:
            if not self._is_made:
                await self._make()
            for spec in self._specs:
                if room > len(taken):
                    await self._take_from(spec, room, taken)
        except TransientError as error:
            _log.warning("taking failed", reason=str(error))
            self._is_made = False
        return taken

    async def pause(self) -> None:
        """Wait for the bell, or until it is time to look again anyway."""
        limit_s = self._echoes[0] if self._echoes else LOOK_EVERY_S
        self._echoes = self._echoes[1:]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._bell.wait()
                self._echoes = _ECHOES_S
        self._bell.clear()

    async def _make(self) -> None:
        await self._bus.wait_connected()
        for spec in self._specs:
            await ensure_consumer(self._bus, spec)
        if not self._subscriptions:
            self._inbox = self._bus.new_inbox()
            self._subscriptions.append(await self._bus.subscribe(f"{self._inbox}.*", self._receive))
            for subject in {subject for spec in self._specs for subject in spec.subjects}:
                self._subscriptions.append(await self._bus.subscribe(subject, self._ring))
        self._is_made = True

    async def _take_from(self, spec: ConsumerSpec, room: int, taken: list[Delivery]) -> None:
        """Add what one queue has now. Its answer ends with a status, or when it has brought all that was asked for."""
        self._asked += 1
        mine = f"{self._inbox}.{self._asked}"
        body = b'{"batch":%d,"no_wait":true}' % (room - len(taken))
        await self._bus.send(f"$JS.API.CONSUMER.MSG.NEXT.{spec.stream}.{spec.durable}", body, reply=mine)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while len(taken) < room:
                    message = await self._found.get()
                    if message.reply:
                        taken.append(delivery_of(message, self._bus))
                    elif message.subject == mine:
                        self._is_made = (message.headers or {}).get("Status") in _NOTHING_LEFT
                        return
        except TimeoutError:
            self._is_made = False

    async def _receive(self, message: Msg) -> None:
        self._found.put_nowait(message)

    async def _ring(self, _message: Msg) -> None:
        self._bell.set()

    def _lost(self) -> None:
        self._is_made = False
        self._bell.set()
