"""THE consume loop: every durable queue of every service is read here, alone or several in the order of priority."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Required, TypedDict, Unpack

from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.consumer import ConsumerSpec, ensure_consumer
from conveyor.servicekit.bus.delivery import Handler, Lane, delivery_of
from conveyor.servicekit.bus.hands import Hands
from conveyor.servicekit.bus.pull import Puller
from conveyor.servicekit.bus.take import Taker
from conveyor.servicekit.ending import cancel_until_ended


class Options(TypedDict, total=False):
    """How a queue is read."""

    concurrency: int
    """How many deliveries are in hand at once, those that wait in a lane included; 1 unless given."""
    lane: Lane | None
    """Names what must be handled one after the other, such as the task; raise MessageError when it cannot be read."""
    stopping: Required[asyncio.Event]
    """Set to drain: nothing more is taken, what has begun is finished, the rest is given back."""


async def consume(bus: Bus, spec: ConsumerSpec, handler: Handler, **options: Unpack[Options]) -> None:
    """Handle what comes until `stopping` is set and all that has begun is done.

    The handler returns None: acknowledged. TransientError: again, after `retry_after_s` or with backoff.
    PermanentError: kept in DEAD with the reason, not delivered again. Leave: neither. Anything else: logged, again,
    and DEAD after ten deliveries. Cancelling this cancels the handlers and gives their deliveries back.
    """
    stopping = options["stopping"]
    hands = Hands(bus, handler, lane=options.get("lane"), freed=lambda: puller.want(1), stopping=stopping)
    puller = Puller(
        bus,
        spec.stream,
        lambda: ensure_consumer(bus, spec),
        lambda message: hands.take(delivery_of(message, bus)),
    )
    puller.want(options.get("concurrency", 1))
    async with _in_hand(hands, spec.ack_wait_s):
        await _until(stopping, puller.run())
        await puller.stop()


async def consume_by_priority(
    bus: Bus,
    specs: Sequence[ConsumerSpec],
    handler: Handler,
    *,
    slots: Callable[[], int],
    stopping: asyncio.Event,
) -> None:
    """Handle what comes from several queues, an earlier one of `specs` always before a later one.

    `slots()` says how many deliveries may be in hand now; it is asked again whenever one is done and every second, so
    that a service that cannot work right now takes nothing (0). The handler answers as for `consume`.
    """
    taker = Taker(bus, tuple(specs))
    hands = Hands(bus, handler, lane=None, freed=taker.wake, stopping=stopping)

    ringing = asyncio.create_task(_ring_on(stopping, taker))
    try:
        async with _in_hand(hands, min(spec.ack_wait_s for spec in specs)), taker:
            while not stopping.is_set():
                room = slots() - hands.count
                taken = await taker.take(room) if room > 0 else []
                for delivery in taken:
                    hands.take(delivery)
                if not taken:
                    await taker.pause()
    finally:
        await cancel_until_ended(ringing)


async def _ring_on(stopping: asyncio.Event, taker: Taker) -> None:
    await stopping.wait()
    taker.wake()


@contextlib.asynccontextmanager
async def _in_hand(hands: Hands, ack_wait_s: float) -> AsyncIterator[None]:
    """Keep deliveries alive; at the end let what has begun finish, or cancel it when we are cancelled."""
    alive = asyncio.create_task(hands.keep_alive(ack_wait_s / 3), name="keep-alive")
    try:
        yield
        await hands.finish()
    except BaseException:
        await hands.abort()
        raise
    finally:
        await cancel_until_ended(alive)


async def _until(stopping: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Run `work` until the event is set; raise what made it end before."""
    task = asyncio.create_task(work)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        await cancel_until_ended(task, stop)
