import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from conveyor.adapters.health_probe import HealthProbe
from conveyor.adapters.telegram import MAX_UNITS, Telegram
from conveyor.adapters.webhook_out import WebhookOut
from conveyor.contracts.errors import PermanentError, SettingsError, TransientError
from conveyor.simulator.http_server import HttpServer


@dataclass
class Receiver:
    """An HTTP server that keeps what it is told and answers what a test orders."""

    url: str = ""
    status: int = 200
    answer: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        raw = await request.body()
        self.told.append((request.url.path, json.loads(raw) if raw else {}))
        return JSONResponse(self.answer, self.status, self.headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = HttpServer(Starlette(routes=[Route("/{path:path}", receiver.take, methods=["GET", "POST"])]))
    async with server:
        receiver.url = server.url
        yield receiver


async def test_a_telegram_message_holds_text_and_link(receiver: Receiver) -> None:
    telegram = Telegram("12:token", "-100", receiver.url)
    await telegram.notify("info", "SHOP-1 waits", "https://plane.test/SHOP-1")
    await telegram.notify("alert", "x" * 5000, "https://plane.test/SHOP-1")
    await telegram.notify("alert", "x" + "\U0001f680" * 5000, "https://plane.test/SHOP-1")
    await telegram.close()
    path, body = receiver.told[0]
    assert path == "/bot12:token/sendMessage"
    assert body == {"chat_id": "-100", "text": "SHOP-1 waits\nhttps://plane.test/SHOP-1"}
    for _, told in receiver.told[1:]:
        assert MAX_UNITS - 1 <= len(told["text"].encode("utf-16-le")) // 2 <= MAX_UNITS, "an emoji counts twice"
        assert told["text"].endswith("\nhttps://plane.test/SHOP-1")


async def test_telegrams_wait_is_read_from_its_body(receiver: Receiver) -> None:
    receiver.status, receiver.answer = 429, {"ok": False, "parameters": {"retry_after": 17}}
    telegram = Telegram("12:token", "-100", receiver.url)
    with pytest.raises(TransientError) as caught:
        await telegram.send("hi")
    await telegram.close()
    assert caught.value.retry_after_s == 17


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
async def test_no_error_ever_shows_the_address(receiver: Receiver, status: int) -> None:
    receiver.status = status
    telegram, hook = Telegram("12:token", "-100", receiver.url), WebhookOut(f"{receiver.url}/hidden-part")
    for call in (telegram.send("hi"), hook.send("hi")):
        with pytest.raises(TransientError if status >= 500 else PermanentError) as caught:
            await call
        assert "12:token" not in str(caught.value)
        assert "hidden-part" not in str(caught.value)
    await telegram.close()
    await hook.close()


async def test_a_webhook_takes_slacks_shape_and_waits_as_asked(receiver: Receiver) -> None:
    hook = WebhookOut(f"{receiver.url}/hook")
    await hook.notify("warning", "SHOP-1 is blocked", "https://plane.test/SHOP-1")
    expected = {"text": "SHOP-1 is blocked\nhttps://plane.test/SHOP-1", "level": "warning"}
    assert receiver.told == [("/hook", expected | {"link": "https://plane.test/SHOP-1"})]
    receiver.status = 429
    receiver.headers = {"Date": "Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After": "Fri, 20 Nov 2026 10:00:42 GMT"}
    with pytest.raises(TransientError) as caught:
        await hook.send("again")
    await hook.close()
    assert caught.value.retry_after_s == 42


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("slack", {"text": 'SHOP-1 "x" &lt;!channel&gt; &amp; {link}\n\\ waits\nhttps://p.test/a?b=1&c'}),
        (
            "mattermost",
            {"text": 'SHOP-1 "x" <!channel> & {link}\n\\ waits\nhttps://p.test/a?b=1&c', "username": "Conveyor"},
        ),
        (
            '{"a": ["{level}", {"b": "see {link}"}], "c": "{text}"}',
            {"a": ["alert", {"b": "see https://p.test/a?b=1&c"}], "c": 'SHOP-1 "x" <!channel> & {link}\n\\ waits'},
        ),
        ('{"n": 7}', {"n": 7}),
    ],
)
async def test_a_template_is_filled_in_and_no_text_can_break_out_of_it(
    receiver: Receiver, template: str, body: dict[str, Any]
) -> None:
    hook = WebhookOut(f"{receiver.url}/hook", template)
    await hook.notify("alert", 'SHOP-1 "x" <!channel> & {link}\n\\ waits', "https://p.test/a?b=1&c")
    await hook.close()
    assert receiver.told == [("/hook", body)]


@pytest.mark.parametrize("template", ["slack", "mattermost", "matrix", "generic"])
async def test_a_message_without_a_link_ends_with_its_text(receiver: Receiver, template: str) -> None:
    hook = WebhookOut(f"{receiver.url}/hook", template)
    await hook.send("done")
    await hook.close()
    assert receiver.told[0][1]["text"] == "done"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("teams", "slack, mattermost, matrix"),
        ('{"text": {text}}', "quote each placeholder"),
        ('{"text": "{txet}"}', "no placeholder {txet}"),
        ('{"text": "{text}"', "not JSON"),
    ],
)
def test_a_template_that_cannot_work_refuses_to_start(template: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        WebhookOut("http://127.0.0.1:9/", template)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receivers_wait_in_seconds_is_obeyed(receiver: Receiver, status: int) -> None:
    receiver.status, receiver.headers = status, {"Retry-After": "7"}
    hook = WebhookOut(f"{receiver.url}/hook", "slack")
    with pytest.raises(TransientError) as caught:
        await hook.send("hi")
    await hook.close()
    assert caught.value.retry_after_s == 7


async def test_nobody_listening_is_a_passing_trouble() -> None:
    hook = WebhookOut("http://127.0.0.1:9/secret")
    with pytest.raises(TransientError) as caught:
        await hook.send("hi")
    await hook.close()
    assert "secret" not in str(caught.value)


async def test_a_system_is_healthy_when_it_answers_well(receiver: Receiver) -> None:
    probe = HealthProbe(timeout_s=2)
    assert await probe.healthy(receiver.url)
    receiver.status = 503
    assert not await probe.healthy(receiver.url)
    assert not await probe.healthy("http://127.0.0.1:9/")
    assert not await probe.healthy("no address")
    await probe.close()
