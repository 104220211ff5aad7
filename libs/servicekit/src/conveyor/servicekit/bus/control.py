"""Questions and answers over core NATS: is this run alive, stop it, how is this service. Nothing here is durable."""

from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg

from conveyor.contracts.errors import TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.bus.connection import Bus, NoRespondersError, Receive

Answer = Callable[[bytes], bytes | Awaitable[bytes]]
_log = logs.get("control")


async def serve(bus: Bus, subject: str, answer: Answer) -> Callable[[], Awaitable[None]]:
    """Answer every question on `subject` until the returned function is called. `answer` may be async."""
    subscription = await bus.subscribe(subject, _answering(bus, answer))

    async def end() -> None:
        await bus.unsubscribe(subscription)

    return end


async def ask(bus: Bus, subject: str, body: bytes = b"", timeout_s: float = 2.0) -> bytes | None:
    """Return the answer; None when nobody is there to give one. TransientError when it takes too long."""
    try:
        return (await bus.request(subject, body, None, timeout_s)).data
    except NoRespondersError:
        return None


def _answering(bus: Bus, answer: Answer) -> Receive:
    async def receive(message: Msg) -> None:
        found = answer(message.data)
        body = found if isinstance(found, bytes) else await found
        if message.reply:
            try:
                await bus.send(message.reply, body)
            except TransientError as error:
                _log.warning("answer not sent", subject=message.subject, reason=str(error))

    return receive
