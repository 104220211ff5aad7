"""Where our client differs from the library's: headers, the same bytes or the same refusal; and what it closes."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import Error, MaxPayloadError

from conveyor.contracts.errors import PermanentError
from conveyor.servicekit.bus import Bus
from conveyor.servicekit.bus.client import QuickClient

Headers = dict[str, str] | None


async def sent(kind: type[Client], headers: Headers, body: bytes = b"body") -> tuple[list[bytes], dict[str, int]]:
    """What a client of this kind hands to its connection, and what it counts."""
    client: Any = kind()
    commands: list[bytes] = []

    async def keep(command: bytes) -> None:
        commands.append(command)

    client._send_command = keep
    try:
        await client._send_publish("a.b", "reply.c", body, len(body), headers)
    except (Error, UnicodeEncodeError) as error:
        return [type(error).__name__.encode()], client.stats
    return commands, client.stats


@given(headers=st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=4))
@example(headers={"Conveyor-Task": "shop/SHOP-1", "Nats-Msg-Id": "0 1", "Empty": ""})
@example(headers={" Nats-TTL ": " 30s "})
@example(headers={"One": "1\r\nTwo: 2"})
@example(headers={"One: 1\r\nTwo": "2"})
@example(headers={"One": "a: b", "Two: c": "d"})
@example(headers={"": "nothing"})
@example(headers={"Word": "Grüße"})
@example(headers={})
async def test_it_sends_what_the_library_would_send(headers: Headers) -> None:
    assert await sent(QuickClient, headers) == await sent(Client, headers)


async def test_headers_count_among_what_the_server_takes_at_most() -> None:
    """The library counts the body alone, and the server closes the connection on what is too much."""
    body = b"x" * (1024 * 1024 - 40)
    assert await sent(QuickClient, {"Word": "x" * 100}, body) == ([MaxPayloadError.__name__.encode()], _NOTHING_SENT)
    fits, _ = await sent(QuickClient, {"Word": "x"}, body)
    assert len(fits) == 1


_NOTHING_SENT = QuickClient().stats


async def test_what_is_too_large_is_refused_for_good_and_the_connection_stays(bus: Bus) -> None:
    for size in (1024 * 1024 + 1, 1024 * 1024 - 10):
        with pytest.raises(PermanentError, match="the server takes 1048576"):
            await bus.request("event.shop.SHOP-1.huge", b"x" * size, {"Conveyor-Task": "shop/SHOP-1"})
    assert bus.is_connected
    assert await bus.api("INFO")


class Moody:
    """A server that greets its first client, sends it away, and hangs up on everybody afterwards."""

    def __init__(self) -> None:
        self.met = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        if self.met == 1:
            writer.write(b'INFO {"server_id":"x","version":"2.15.1","headers":true,"max_payload":1048576}\r\n')
            while (line := await reader.readline()) and line != b"PING\r\n":
                pass
            writer.write(b"PONG\r\n")
            await writer.drain()
        writer.close()


def left_open(port: int) -> int:
    """How many connections the other end has closed and ours has not (state 08, CLOSE_WAIT)."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2] == f"0100007F:{port:04X}" and row[3] == "08" for row in rows)


async def test_a_connection_whose_greeting_failed_is_closed(eventually: Callable[..., Any]) -> None:
    """Each left one open: a file descriptor less with every try while a server starts."""
    moody = Moody()
    server = await asyncio.start_server(moody, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = QuickClient()

    async def nothing(_error: Exception) -> None:
        """Errors are what this is about."""

    options = {"reconnect_time_wait": 0.01, "max_reconnect_attempts": -1, "error_cb": nothing}
    await client.connect(f"nats://127.0.0.1:{port}", **options)
    await eventually(lambda: moody.met >= 8)
    assert left_open(port) <= 1
    await client.close()
    server.close()
    await server.wait_closed()
    await eventually(lambda: left_open(port) == 0)
