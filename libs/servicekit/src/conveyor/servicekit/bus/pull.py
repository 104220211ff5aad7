"""Pulls as credits: exactly as many messages are asked for as there is room, and a silent server is noticed in seconds.

The library's `fetch` keeps a stale batch size, does not notice a restarted server and leaves orphans behind.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from conveyor.contracts.errors import TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.clock import SYSTEM_CLOCK

EXPIRES_S = 30
HEARTBEAT_S = 1
SILENCE_S = 3.0
"""Three missed heartbeats: the pulls are taken for lost and asked anew."""
TICK_S = 0.5
RESET_PAUSE_S = 0.25
_SECOND_NS = 1_000_000_000
_IDLE, _NOT_FOUND, _TIMEOUT = "100", "404", "408"
_log = logs.get("pull")


class Puller:
    """Asks a consumer for messages, one credit each. `ensure` makes the consumer and returns its name.

    `take` gets each message and must not wait. After a reconnect, a silence or a deleted consumer it starts anew with
    a fresh inbox, so that what old pulls still bring cannot be mistaken for what the new ones asked for.
    """

    def __init__(
        self, bus: Bus, stream: str, ensure: Callable[[], Awaitable[str]], take: Callable[[Msg], None]
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._ensure = ensure
        self._take = take
        self._wanted = 0
        self._outstanding = 0
        self._next = ""
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._is_broken = True
        self._pause_s = 0.0
        self._heard_s = SYSTEM_CLOCK.monotonic()
        self._silent_ticks = 0
        self._wake = asyncio.Event()

    def want(self, count: int) -> None:
        """Ask for this many more messages; asked together with everything else that is wanted in this turn."""
        self._wanted += count
        self._wake.set()

    def restart(self) -> None:
        """Take all pulls for lost and begin anew."""
        self._is_broken = True
        self._wake.set()

    async def run(self) -> None:
        """Pull until cancelled; PermanentError when the consumer cannot be made."""
        forget = self._bus.on_reconnect(self.restart)
        try:
            while True:
                try:
                    await self._turn()
                except TransientError as error:
                    _log.warning("pull failed", stream=self._stream, reason=str(error))
                    self._pause_s = RESET_PAUSE_S
                    self._is_broken = True
        finally:
            forget()

    async def stop(self) -> None:
        """Ask for nothing more; what is on its way still reaches `take` before this returns."""
        subscription = self._subscription
        if subscription is not None and not self._bus.is_connected:
            await self._drop()
        elif subscription is not None:
            self._subscription = None
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                async with asyncio.timeout(2):
                    await subscription.drain()  # type: ignore[no-untyped-call] # the library has no types here

    async def _turn(self) -> None:
        if self._is_broken:
            await self._begin()
        if self._wanted:
            await self._pull()
        try:
            async with asyncio.timeout(TICK_S):
                await self._wake.wait()
            self._wake.clear()
        except TimeoutError:
            self._feel_pulse()

    async def _begin(self) -> None:
        pause_s, self._pause_s = self._pause_s, 0.0
        await asyncio.sleep(pause_s)
        await self._drop()
        await self._bus.wait_connected(EXPIRES_S)
        self._is_broken = False
        consumer = await self._ensure()
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        self._inbox = self._bus.new_inbox()
        self._wanted += self._outstanding
        self._outstanding = 0
        self._subscription = await self._bus.subscribe(self._inbox, self._receive)

    async def _drop(self) -> None:
        old, self._subscription = self._subscription, None
        if old is not None:
            await self._bus.unsubscribe(old)

    async def _pull(self) -> None:
        batch, self._wanted = self._wanted, 0
        if self._outstanding == 0:
            self._heard_s, self._silent_ticks = SYSTEM_CLOCK.monotonic(), 0
        self._outstanding += batch
        body = f'{{"batch":{batch},"expires":{EXPIRES_S * _SECOND_NS},"idle_heartbeat":{HEARTBEAT_S * _SECOND_NS}}}'
        await self._bus.send(self._next, body.encode(), reply=self._inbox)

    async def _receive(self, message: Msg) -> None:
        self._heard_s, self._silent_ticks = SYSTEM_CLOCK.monotonic(), 0
        headers = message.headers
        if message.reply or headers is None or "Status" not in headers:
            self._outstanding -= 1
            self._take(message)
            return
        status = headers["Status"]
        if status == _IDLE:
            return
        if status in (_TIMEOUT, _NOT_FOUND):
            unused = int(headers.get("Nats-Pending-Messages", "0"))
            self._outstanding -= unused
            self.want(unused)
            return
        # Consumer deleted, leadership changed, too many waiting, nobody there: start anew, not in a tight circle.
        _log.debug("pull ended", stream=self._stream, status=status, why=headers.get("Description", ""))
        self._pause_s = RESET_PAUSE_S
        self.restart()

    def _feel_pulse(self) -> None:
        if self._outstanding == 0 or not self._bus.is_connected or SYSTEM_CLOCK.monotonic() - self._heard_s < SILENCE_S:
            self._silent_ticks = 0
            return
        # A second look: after a pause of this process the heartbeats may wait unread in the socket.
        self._silent_ticks += 1
        if self._silent_ticks > 1:
            _log.info("server is silent, pulling anew", stream=self._stream)
            self.restart()
