"""What every HTTP adapter stands on: addresses and waits that are none, redirects, and rows that are not ours."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from conveyor.adapters.gitea import GiteaForge
from conveyor.adapters.plane import PlaneTracker
from conveyor.adapters.plane.refusals import refusal
from conveyor.adapters.telegram import Telegram
from conveyor.adapters.transport import retry_after_s
from conveyor.adapters.webhook_out import WebhookOut
from conveyor.contracts.errors import PermanentError, SettingsError
from conveyor.simulator.http_server import HttpServer


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


def test_a_redirect_names_where_to_point_the_setting() -> None:
    """Followed, it would turn a PATCH into a GET."""
    error = refusal(301, httpx.Headers({"location": "https://plane.test/api/v1/x/"}), b"", "moving an issue")
    assert isinstance(error, PermanentError)
    assert "https://plane.test/api/v1/x/; set plane.url" in str(error)


async def test_a_forks_pull_request_of_the_same_branch_is_not_ours() -> None:
    """Anybody may name a branch in a fork as ours are named."""

    def pull(number: int, repo_id: int) -> dict[str, Any]:
        head = {"ref": "feature/A-1-x", "label": "feature/A-1-x", "sha": "abc", "repo_id": repo_id}
        return {"number": number, "state": "open", "head": head, "base": {"ref": "v/1", "sha": "def", "repo_id": 3}}

    async def pulls(request: Request) -> JSONResponse:
        return JSONResponse([pull(1, 9), pull(2, 3)] if request.query_params["page"] == "1" else [])

    async with HttpServer(Starlette(routes=[Route("/api/v1/repos/o/r/pulls", pulls)])) as server:
        forge = GiteaForge(server.url, "token")
        found = await forge.find_pull_request("o/r", "feature/A-1-x", "v/1")
        await forge.close()
    assert found is not None
    assert found.number == 2


@pytest.mark.parametrize(
    ("told", "expected"), [("12", 12), ("0.5", 0.5), ("", None), ("soon", None), ("\u00b2", None), ("-1", None)]
)
def test_a_wait_is_read_or_it_is_none(told: str, expected: float | None) -> None:
    assert retry_after_s(httpx.Headers([(b"retry-after", told.encode("latin-1"))])) == expected
