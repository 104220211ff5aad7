"""Answers in one write: the same bytes as ever, whatever server it is and whatever was asked."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from starlette.types import Message, Receive, Scope, Send

from conveyor.gateway.http.whole import has_come_whole, send_whole
from conveyor.servicekit.health import HttpServer
from conveyor.servicekit.sections import HttpSettings

BODY = b'{"status":"stored"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


class Connection:
    """Notes what is written to it, and whether it was closed."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, content: bytes) -> None:
        assert not self.is_closed
        self.written.append(content)

    def close(self) -> None:
        self.is_closed = True


class Answering:
    """Sends as uvicorn does: the head and the body each with a write, no body where none was asked for."""

    def __init__(self, *, with_body: bool = True, keeps_alive: bool = True) -> None:
        self.connection = Connection()
        self.transport: Connection = self.connection
        self._with_body = with_body
        self._keeps_alive = keeps_alive

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.transport.write(b"head %d;" % message["status"])
            return
        if self._with_body:
            self.transport.write(message["body"])
        if not self._keeps_alive:
            self.transport.close()


@pytest.mark.parametrize("keeps_alive", [True, False])
@pytest.mark.parametrize(("with_body", "expected"), [(True, b"head 200;" + BODY), (False, b"head 200;")])
async def test_an_answer_is_one_write_with_or_without_a_body(
    keeps_alive: bool, with_body: bool, expected: bytes
) -> None:
    answering = Answering(with_body=with_body, keeps_alive=keeps_alive)
    await send_whole(answering.send, 200, HEADERS, BODY)
    assert answering.connection.written == [expected]
    assert answering.connection.is_closed is not keeps_alive


async def test_under_another_server_nothing_is_held_back() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await send_whole(send, 202, HEADERS, BODY)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[1]["body"]) == (202, BODY)


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send_whole(send, 200, HEADERS, BODY)

    server = HttpServer(app, HttpSettings())
    await server.start()
    yield server
    await server.stop()


@pytest.mark.parametrize(("method", "body"), [("POST", BODY), ("GET", BODY), ("HEAD", b"")])
async def test_the_server_answers_again_and_again_on_one_connection(
    server: HttpServer, method: str, body: bytes
) -> None:
    place = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    async with asyncio.timeout(10):
        for _ in range(3):
            writer.write(f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(len(body)) == body
        writer.write(f"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).endswith(b"\r\n\r\n" + body)
    writer.close()


@pytest.mark.parametrize(("parts", "expected"), [((b"{}",), True), ((b"{", b"}"), False)])
async def test_a_body_that_came_with_its_head_need_not_be_waited_for(parts: tuple[bytes, ...], expected: bool) -> None:
    called: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        called.set_result(has_come_whole(receive))
        while (await receive()).get("more_body"):
            pass
        await send_whole(send, 200, HEADERS, BODY)

    server = HttpServer(app, HttpSettings())
    await server.start()
    url = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n" + parts[0])
    assert await called is expected
    writer.writelines(parts[1:])
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    await server.stop()


def test_a_server_that_does_not_show_it_is_waited_for() -> None:
    async def receive() -> Message:
        return {"type": "http.request"}

    assert not has_come_whole(receive)
