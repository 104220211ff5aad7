"""Work in hand: runs handlers on deliveries, keeps them alive at the server, and tells it what became of each.

The one place that acknowledges, refuses and terminates, and where the two kinds of error are told apart.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.backoff import delay_after
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.dead import bury
from conveyor.servicekit.bus.delivery import Delivery, Handler, Lane
from conveyor.servicekit.bus.errors import Leave
from conveyor.servicekit.clock import SYSTEM_CLOCK

RETRY_FIRST_S = 1.0
RETRY_CAP_S = 60.0
SURPRISES = 10
"""After this many deliveries an error that nobody foresaw ends the message in DEAD."""
PARKED = 1024
"""From so many lanes on that wait for a next try, those whose time is past are forgotten."""
BURY_AGAIN_S = 5.0
ABORT_S = 5.0
_BEHIND_S = 0.05
"""How much later than its predecessor's next try a delivery of the same lane comes back."""
_REASON_CHARS = 200
_log = logs.get("consume")


class Hands:
    """Handles deliveries; `freed` is called when one is out of hand, whatever became of it.

    With a lane, deliveries of one lane are handled one after the other in the order they came. While one waits for
    its next try, later ones of its lane are sent back to come after it. Once `stopping` is set nothing new is begun.
    """

    def __init__(
        self, bus: Bus, handler: Handler, *, lane: Lane | None, freed: Callable[[], None], stopping: asyncio.Event
    ) -> None:
        self._bus = bus
        self._handler = handler
        self._lane = lane
        self._freed = freed
        self._held: set[Delivery] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes: dict[str, deque[Delivery]] = {}
        self._parked: dict[str, tuple[int, float]] = {}
        self._stopping = stopping
        self._is_aborted = False

    @property
    def count(self) -> int:
        """How many deliveries are in hand."""
        return len(self._held)

    def take(self, delivery: Delivery) -> None:
        """Begin to handle a delivery, or queue it in its lane; once stopped, give it back."""
        self._held.add(delivery)
        if self._lane is None:
            self._start(self._handle(delivery))
            return
        lane = self._lane_of(delivery)
        queue = self._lanes.get(lane)
        if queue is not None:
            queue.append(delivery)
            return
        self._lanes[lane] = deque((delivery,))
        self._start(self._work_lane(lane))

    async def keep_alive(self, period_s: float) -> None:
        """Tell the server again and again that what is in hand is being worked on; run until cancelled."""
        while True:
            await asyncio.sleep(period_s)
            for delivery in tuple(self._held):
                if not self._bus.is_connected:
                    break
                try:
                    await delivery.in_progress()
                except TransientError as error:
                    _log.warning("sign of life not sent", subject=delivery.subject, reason=str(error))

    async def finish(self) -> None:
        """Return when what has begun is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def abort(self) -> None:
        """Cancel what has begun and give it back."""
        self._is_aborted = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ABORT_S)
        for delivery in tuple(self._held):  # what waited in a lane
            await self._refuse(delivery, 0)
            self._release(delivery)

    def _start(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.get_running_loop().create_task(_no_result(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lane_of(self, delivery: Delivery) -> str:
        try:
            return self._lane(delivery) if self._lane else ""
        except PermanentError:
            return delivery.subject  # it cannot be read; the handler will say so

    async def _work_lane(self, lane: str) -> None:
        queue = self._lanes[lane]
        try:
            while queue:
                await self._next_in(lane, queue.popleft())
        finally:
            del self._lanes[lane]

    async def _next_in(self, lane: str, delivery: Delivery) -> None:
        seq, until_s = self._parked.get(lane, (0, 0.0))
        if seq < delivery.seq and (wait_s := until_s - SYSTEM_CLOCK.monotonic()) > 0:
            await self._refuse(delivery, wait_s + _BEHIND_S)
            self._release(delivery)
            return
        retry_s = await self._handle(delivery)
        if retry_s is not None:
            self._park(lane, delivery.seq, SYSTEM_CLOCK.monotonic() + retry_s)
        elif seq <= delivery.seq:
            self._parked.pop(lane, None)

    def _park(self, lane: str, seq: int, until_s: float) -> None:
        self._parked[lane] = (seq, until_s)
        if len(self._parked) > PARKED:  # what was tried again elsewhere never comes back to be taken out
            now = SYSTEM_CLOCK.monotonic()
            self._parked = {name: one for name, one in self._parked.items() if one[1] > now}

    async def _handle(self, delivery: Delivery) -> float | None:
        """Handle a delivery and settle it; return in how many seconds it will come again, None when it will not."""
        try:
            if self._stopping.is_set() or self._is_aborted:
                await self._refuse(delivery, 0)
                return None
            return await self._settle(delivery, await self._outcome(delivery))
        except asyncio.CancelledError:
            await self._refuse(delivery, 0)
            raise
        finally:
            self._release(delivery)

    async def _outcome(self, delivery: Delivery) -> BaseException | None:
        try:
            return await self._handler(delivery)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return error  # not we were cancelled, but something that the handler waited for
        except Exception as error:  # noqa: BLE001 - the consume loop: every error becomes an outcome, told below
            return error

    async def _settle(self, delivery: Delivery, outcome: BaseException | None) -> float | None:
        match outcome:
            case None:
                await self._reply(delivery, b"+ACK")
                return None
            case Leave():
                return None
            case TransientError():
                wait_s = outcome.retry_after_s
                if wait_s is None:
                    wait_s = delay_after(delivery.delivered, RETRY_FIRST_S, RETRY_CAP_S, delivery.subject)
                _log.info("will try again", subject=delivery.subject, wait_s=round(wait_s, 1), reason=str(outcome))
                return await self._refuse(delivery, wait_s)
            case PermanentError():
                return await self._bury(delivery, outcome)
            case _:
                _log.error("unforeseen error", subject=delivery.subject, seq=delivery.seq, exc_info=outcome)
                if delivery.delivered >= SURPRISES:
                    return await self._bury(delivery, outcome)
                return await self._refuse(
                    delivery, delay_after(delivery.delivered, RETRY_FIRST_S, RETRY_CAP_S, delivery.subject)
                )

    async def _bury(self, delivery: Delivery, why: BaseException) -> float | None:
        reason = f"{type(why).__name__}: {why}"
        _log.error("goes to the dead letters", subject=delivery.subject, seq=delivery.seq, reason=reason)
        try:
            await bury(self._bus, delivery, reason)
        except TransientError as error:
            _log.warning("dead letter not stored", subject=delivery.subject, reason=str(error))
            return await self._refuse(delivery, BURY_AGAIN_S)
        await self._reply(delivery, f"+TERM {_one_line(reason)}".encode())
        return None

    async def _refuse(self, delivery: Delivery, wait_s: float) -> float:
        await self._reply(delivery, b'-NAK {"delay":%d}' % int(wait_s * 1e9) if wait_s > 0 else b"-NAK")
        return wait_s

    async def _reply(self, delivery: Delivery, word: bytes) -> None:
        try:
            await self._bus.send(delivery.reply, word)
        except TransientError as error:
            # The server delivers it again after ack_wait; everything that handles it is safe to repeat.
            _log.warning("answer not sent", subject=delivery.subject, word=word.decode(), reason=str(error))

    def _release(self, delivery: Delivery) -> None:
        self._held.discard(delivery)
        self._freed()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_REASON_CHARS]


async def _no_result(work: Coroutine[None, None, object]) -> None:
    await work
