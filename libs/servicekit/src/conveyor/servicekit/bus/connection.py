"""The one connection of a process to NATS, set up so that the known traps of the client library do not open.

Requests go through a mailbox of our own: they wait for a connection instead of being buffered and sent late, and
those in flight fail the moment the connection breaks instead of at their timeout.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.servicekit import logs
from conveyor.servicekit.bus.client import QuickClient
from conveyor.servicekit.bus.errors import raise_for_error
from conveyor.servicekit.ending import cancel_until_ended
from conveyor.servicekit.sections import NatsSettings

REQUEST_TIMEOUT_S = 5.0
PING_INTERVAL_S = 5
RECONNECT_WAIT_S = 0.25
WATCH_S = 2.0
NO_RESPONDERS = "503"
_log = logs.get("bus")
Receive = Callable[[Msg], Awaitable[None]]


class NoRespondersError(TransientError):
    """Nobody listens on this subject right now; for JetStream: it is not (yet) available."""


class Bus:
    """A connection that reconnects for ever. Made by `connect`; handed to everything in this package."""

    def __init__(self, settings: NatsSettings, name: str) -> None:
        self.settings = settings
        self.name = name
        self.client = QuickClient()
        """The library's client; nobody outside this package touches it."""
        self._mailbox = ""
        self._tokens = itertools.count()
        self._pending: dict[str, asyncio.Future[Msg]] = {}
        self._connected = asyncio.Event()
        self._gone = asyncio.Event()
        self._is_closing = False
        self._listeners: list[Callable[[], None]] = []
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a request made now would go out at once."""
        return self._connected.is_set() and self.client.is_connected

    @property
    def server_version(self) -> str:
        """The version of the server we talk to, as it says itself; empty before the first connection."""
        return str(self.client._server_info.get("version", ""))  # noqa: SLF001 - the library's parser fails on "-dev"

    async def wait_connected(self, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Return once connected; TransientError after the timeout, and at once when it was closed."""
        if self.is_connected:
            return
        if self._is_closing:
            raise TransientError(f"the connection to NATS at {self.settings.url} was closed")
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError as error:
            raise TransientError(f"not connected to NATS at {self.settings.url} after {timeout_s:g} s") from error

    async def watch(self, stopping: asyncio.Event) -> None:
        """Run as a task of the service: return when it stops; PermanentError if there will never be a connection."""
        gone = asyncio.ensure_future(self._gone.wait())
        stop = asyncio.ensure_future(stopping.wait())
        try:
            while not (gone.done() or stop.done() or self._has_given_up()):
                await asyncio.wait({gone, stop}, timeout=WATCH_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_until_ended(gone, stop)
        if stopping.is_set():
            return
        if self._opening is not None and self._opening.done():
            self._opening.result()
        raise PermanentError(f"the connection to NATS will not come back: {self.client.last_error}")

    def _has_given_up(self) -> bool:
        """Whether connecting failed, or the library's task that reconnects died of an error it did not expect.

        It tells nobody, and nobody would connect again, for ever.
        """
        opening, again = self._opening, self.client._reconnection_task  # noqa: SLF001 - the only place that shows it
        if opening is not None and opening.done() and opening.exception() is not None:
            return True
        return self.client.is_reconnecting and again is not None and again.done()

    def on_reconnect(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever the connection is back; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def request(
        self, subject: str, body: bytes, headers: dict[str, str] | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> Msg:
        """Return the answer. TransientError when none came: whether it was carried out is then unknown.

        NoRespondersError when nobody listens, PermanentError for a message that is too large. While disconnected it
        waits for the connection, within the timeout.
        """
        if not self.is_connected:
            await self.wait_connected(timeout_s)
        loop = asyncio.get_running_loop()
        token = str(next(self._tokens))
        answer: asyncio.Future[Msg] = loop.create_future()
        self._pending[token] = answer
        timer = loop.call_later(timeout_s, _expire, answer, subject, timeout_s)
        try:
            await self.send(subject, body, headers, self._mailbox + token)
            message = await answer
        finally:
            timer.cancel()
            self._pending.pop(token, None)
        if message.headers and not message.data and message.headers.get("Status") == NO_RESPONDERS:
            raise NoRespondersError(f"nobody answers on {subject}")
        return message

    async def api(self, subject: str, body: object = None, timeout_s: float = REQUEST_TIMEOUT_S) -> bytes:
        """Return JetStream's answer to `$JS.API.<subject>`; ApiError when it is an error."""
        message = await self.request(
            f"$JS.API.{subject}", msgspec.json.encode(body) if body is not None else b"", None, timeout_s
        )
        raise_for_error(message.data, subject)
        return message.data

    async def send(
        self, subject: str, body: bytes = b"", headers: dict[str, str] | None = None, reply: str = ""
    ) -> None:
        """Publish over core NATS, unconfirmed. TransientError when it cannot be sent, PermanentError when too large."""
        try:
            await self.client.publish(subject, body, reply=reply, headers=headers)
        except nats.errors.MaxPayloadError as error:
            limit = self.client.max_payload
            raise PermanentError(f"{subject}: {len(body)} bytes and headers, the server takes {limit}") from error
        except nats.errors.Error as error:
            raise TransientError(f"cannot send to {subject}: {error}") from error

    async def subscribe(
        self, subject: str, receive: Callable[[Msg], Awaitable[None]], *, queue: str = ""
    ) -> Subscription:
        """Call `receive` for every message, one after the other; survives reconnects. TransientError without a server.

        `unsubscribe` ends it, also while disconnected: what is not ended is subscribed to anew after every outage.
        """
        await self.wait_connected()
        try:
            return await self.client.subscribe(
                subject, queue=queue, cb=receive, pending_msgs_limit=-1, pending_bytes_limit=256 * 1024 * 1024
            )
        except nats.errors.Error as error:
            raise TransientError(f"cannot subscribe to {subject}: {error}") from error

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; one that has ended already, or whose connection is closed, is no error."""
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            await subscription.unsubscribe()

    def new_inbox(self) -> str:
        """Return a subject that nobody else uses."""
        return self.client.new_inbox()

    async def close(self) -> None:
        """Send what is buffered and disconnect; calling it again changes nothing."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._opening is not None:
            await cancel_until_ended(self._opening)
        if self.client.is_connected:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await self.client.flush(timeout=2)
        if not self.client.is_connected:
            self.client.forget_unsent()
        with contextlib.suppress(AssertionError):  # the library's word for a client that never came to connect
            await self.client.close()
        self._fail_pending("the connection was closed")

    def open(self) -> None:
        """Start to connect in the background."""
        self._opening = asyncio.get_running_loop().create_task(self._open(), name="bus-connect")

    async def opened(self, timeout_s: float) -> None:
        """Return once connected for the first time; raises what made it impossible."""
        if self._opening is None:
            raise RuntimeError("open() comes first")
        done, _ = await asyncio.wait({self._opening}, timeout=timeout_s)
        if not done:
            raise TransientError(f"no NATS server at {self.settings.url} after {timeout_s:g} s")
        self._opening.result()

    async def _open(self) -> None:
        settings = self.settings
        try:
            await self.client.connect(
                servers=[url.strip() for url in settings.url.split(",")],
                name=f"conveyor-{self.name}",
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnect,
                reconnected_cb=self._on_reconnect,
                closed_cb=self._on_closed,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type] # seconds; fractions work
                ping_interval=PING_INTERVAL_S,
                flush_timeout=5,
                skip_subject_validation=True,  # subjects are built in contracts.subjects from checked parts
                user=settings.user or None,
                password=settings.password.reveal() or None,
                nkeys_seed_str=settings.nkey_seed.reveal() or None,
                user_credentials=Path(settings.credentials) if settings.credentials else None,
            )
        except (nats.errors.Error, OSError, ValueError) as error:
            raise PermanentError(f"cannot connect to NATS at {settings.url}: {error}") from error
        self._mailbox = self.client.new_inbox() + "."
        await self.client.subscribe(
            self._mailbox + "*", cb=self._receive, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        self._connected.set()

    async def _receive(self, message: Msg) -> None:
        answer = self._pending.get(message.subject.rpartition(".")[2])
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _fail_pending(self, why: str) -> None:
        for answer in tuple(self._pending.values()):
            if not answer.done():
                answer.set_exception(TransientError(f"{why}; whether the request was carried out is unknown"))

    async def _on_error(self, error: Exception) -> None:
        """Log; must never raise, or the library's read loop ends for good."""
        if not self._is_closing:
            _log.warning("nats", reason=str(error) or type(error).__name__)

    async def _on_disconnect(self) -> None:
        self._connected.clear()
        self._fail_pending("the connection to NATS broke")
        if not self._is_closing:
            _log.warning("disconnected from nats", url=self.settings.url)

    async def _on_reconnect(self) -> None:
        self._connected.set()
        _log.info("reconnected to nats", url=self.settings.url)
        for listener in tuple(self._listeners):
            listener()

    async def _on_closed(self) -> None:
        self._connected.clear()
        if not self._is_closing:
            self._gone.set()


def _expire(answer: asyncio.Future[Msg], subject: str, timeout_s: float) -> None:
    if not answer.done():
        answer.set_exception(
            TransientError(f"no answer on {subject} within {timeout_s:g} s; whether it was carried out is unknown")
        )


async def connect(settings: NatsSettings, *, name: str, wait_s: float | None = None) -> Bus:
    """Return a connection. TransientError when no server answers within `wait_s` (default: the setting).

    With `wait_s=0` it returns at once and connects in the background: for who can do without for a while.
    """
    bus = Bus(settings, name)
    bus.open()
    limit_s = settings.connect_timeout_s if wait_s is None else wait_s
    if limit_s > 0:
        try:
            await bus.opened(limit_s)
        except BaseException:
            await bus.close()
            raise
    return bus
