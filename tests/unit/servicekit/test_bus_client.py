"""The client's own way of writing headers against the library's: the same bytes, or the same refusal."""

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
