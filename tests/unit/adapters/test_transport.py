"""What never reaches the other side: addresses that are none, and waits that are none."""

from typing import Any

import httpx
import pytest

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker
from conveyor.adapters.telegram import Telegram
from conveyor.adapters.transport import retry_after_s
from conveyor.adapters.webhook_out import WebhookOut
from conveyor.contracts.errors import PermanentError, SettingsError


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (lambda: PlaneTracker("http://plane:port", "acme", "key"), "plane.url"),
        (lambda: PlaneTracker("http://plane.test", "acme", "k\u00e9y"), "plane.api_key"),
        (lambda: GiteaForge("http://git.test:x", "token"), "gitea.url"),
        (lambda: Telegram("to\nken", "1"), "notify.telegram_token"),
    ],
)
def test_a_setting_that_no_request_can_be_made_of_is_named(make: Any, setting: str) -> None:
    with pytest.raises(SettingsError, match=setting):
        make()


@pytest.mark.parametrize("name", ["line\nbreak", "\0", "a" * 70_000])
async def test_an_address_that_is_none_is_an_error_of_ours_and_asks_nobody(name: str, bench: Any) -> None:
    with pytest.raises(PermanentError, match="reading issue"):
        await bench.tracker.issue(bench.project.id, name)
    assert bench.asked() == 0
    target = WebhookOut(f"http://127.0.0.1:9/{name}")
    with pytest.raises(PermanentError, match="webhook address"):
        await target.notify("info", "text")
    await target.close()


@pytest.mark.parametrize(
    ("told", "expected"), [("12", 12), ("0.5", 0.5), ("", None), ("soon", None), ("\u00b2", None), ("-1", None)]
)
def test_a_wait_is_read_or_it_is_none(told: str, expected: float | None) -> None:
    assert retry_after_s(httpx.Headers([(b"retry-after", told.encode("latin-1"))])) == expected
