"""Order over crashes and replicas: what came before a delivery and is not surely done is handled before it.

The server gives what a dead service had in hand to the next one only after `ack_wait_s`, and later messages of the same
task meanwhile. A handler that is safe to repeat need not wait for it: it reads the earlier ones itself.
"""

from collections.abc import Callable

from conveyor.contracts.errors import PermanentError
from conveyor.servicekit import logs
from conveyor.servicekit.bus import wire
from conveyor.servicekit.bus.connection import Bus
from conveyor.servicekit.bus.consumer import ConsumerSpec, acknowledged_up_to
from conveyor.servicekit.bus.delivery import Delivery, Handler, Outcome
from conveyor.servicekit.bus.wire import Message

REMEMBERED = 4096
"""Of how many lanes it is known how far they are done; of any other the consumer's own floor is asked."""
_log = logs.get("in_order")


class InOrder:
    """A handler around another one that must be safe to repeat.

    `subjects_of` names the subjects (wildcards allowed) of everything that has to keep its order with a delivery;
    lanes of the consume loop must be at least as wide.
    """

    def __init__(
        self, bus: Bus, spec: ConsumerSpec, subjects_of: Callable[[Delivery], str | tuple[str, ...]], handler: Handler
    ) -> None:
        self._bus, self._spec = bus, spec
        self._subjects_of = subjects_of
        self._handler = handler
        self._done: dict[tuple[str, ...], int] = {}

    async def __call__(self, delivery: Delivery) -> Outcome:
        """Handle what is open before this delivery, oldest first, then itself; the answer is that of the latter."""
        named = self._subjects_of(delivery)
        subjects = (named,) if isinstance(named, str) else named
        done = self._done.get(subjects, 0)
        earlier = await self._before(delivery, subjects, done) if done else None
        if earlier is not None or not done:  # what is open by our own account somebody else may have dealt with
            done = max(done, await acknowledged_up_to(self._bus, self._spec.stream, self._spec.durable))
            earlier = await self._before(delivery, subjects, done)
        while earlier is not None:
            await self._catch_up(earlier)
            done = self._done[subjects] = earlier.seq
            earlier = await self._before(delivery, subjects, done)
        outcome = await self._handler(delivery)
        if outcome is None:
            self._done[subjects] = max(done, delivery.seq)
        if len(self._done) > REMEMBERED:
            self._done.pop(next(iter(self._done)))
        return outcome

    async def _catch_up(self, message: Message) -> None:
        delivery = Delivery(
            subject=message.subject,
            body=message.body,
            headers=message.headers,
            seq=message.seq,
            delivered=2,  # somebody may have begun
            at=message.at,
            stream=self._spec.stream,
            consumer=self._spec.durable,
        )
        _log.info("catches up", subject=message.subject, seq=message.seq)
        try:
            outcome = await self._handler(delivery)
            if outcome is not None:
                raise outcome
        except PermanentError as error:
            _log.warning("passed over; its own delivery buries it", subject=message.subject, reason=str(error))

    async def _before(self, delivery: Delivery, subjects: tuple[str, ...], seq: int) -> Message | None:
        """Return the first message behind `seq` that comes before this delivery."""
        found = [
            await wire.read(self._bus, self._spec.stream, {"seq": seq + 1, "next_by_subj": subject})
            for subject in subjects
        ]
        earlier = [message for message in found if message and message.seq < delivery.seq]
        return min(earlier, key=lambda message: message.seq, default=None)
