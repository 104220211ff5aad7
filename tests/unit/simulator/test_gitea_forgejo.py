"""The simulated Gitea as a Forgejo: what an integrator meets there and not on Gitea."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor.simulator.gitea import FORGEJO, GiteaServer
from conveyor.simulator.http_server import HttpServer

REPO = "orch/demo"


@dataclass
class Forgejo:
    """The server, a client with its owner's token, and what its hooks heard."""

    server: GiteaServer
    client: httpx.AsyncClient
    receiver: str
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        return await self.client.request(method, f"/api/v1/repos/{REPO}{path}", json=body or None)

    async def told(self, event: str) -> tuple[dict[str, str], bytes]:
        await self.server.settled()
        return next((headers, raw) for headers, raw in self.heard if headers["x-forgejo-event"] == event)


@pytest.fixture
async def forgejo(tmp_path: Path) -> AsyncIterator[Forgejo]:
    heard: list[tuple[dict[str, str], bytes]] = []

    async def take(request: Request) -> Response:
        heard.append((dict(request.headers), await request.body()))
        return Response()

    receiver = HttpServer(Starlette(routes=[Route("/", take, methods=["POST"])]))
    async with receiver, GiteaServer(tmp_path, flavour=FORGEJO) as server:
        for login in ("orch", "critic"):
            server.create_user(login)
        await server.create_repo(REPO)
        token = {"Authorization": f"token {server.create_token('orch')}"}
        async with httpx.AsyncClient(base_url=server.url, headers=token) as client:
            yield Forgejo(server, client, receiver.url + "/", heard)


async def test_it_says_what_it_is(forgejo: Forgejo) -> None:
    assert (await forgejo.client.get("/api/v1/version")).json() == {"version": "12.0.0+gitea-1.22.0"}
    shouted = {"Authorization": f"TOKEN {forgejo.server.create_token('orch')}"}
    assert (await forgejo.client.get("/api/v1/user", headers=shouted)).status_code == 401


async def test_its_deliveries_carry_its_own_name_beside_the_others(forgejo: Forgejo) -> None:
    forgejo.server.add_hook(REPO, forgejo.receiver, "s3cr3t")
    await forgejo.server.push(REPO, "agent/x", {"x": "1"})
    headers, _ = await forgejo.told("push")
    for brand in ("forgejo", "gitea", "gogs", "github"):
        assert headers[f"x-{brand}-event-type"] == "push"
        assert headers[f"x-{brand}-delivery"] == headers["x-forgejo-delivery"]
    assert headers["x-forgejo-signature"] == headers["x-hub-signature-256"].removeprefix("sha256=")
    assert not [name for name in headers if name.endswith("target-type")]


@pytest.mark.parametrize(("kind", "ref"), [("forgejo", "refs/heads/agent/x"), ("gitea", "agent/x")])
async def test_a_branch_is_named_in_full_to_hooks_of_its_own_type(forgejo: Forgejo, kind: str, ref: str) -> None:
    forgejo.server.add_hook(REPO, forgejo.receiver, "s3cr3t", kind=kind)
    await forgejo.server.push(REPO, "agent/x", {"x": "1"})
    await forgejo.server.delete_branch(REPO, "agent/x")
    for event in ("create", "delete"):
        _, raw = await forgejo.told(event)
        assert json.loads(raw)["ref"] == ref
        assert (b"\n" in raw) is (kind == "forgejo")


async def test_nobody_is_told_of_a_commit_status_and_nobody_can_ask_to_be(forgejo: Forgejo) -> None:
    config = {"url": forgejo.receiver, "content_type": "json"}
    wanted = ["push", "status", "workflow_run"]
    made = await forgejo.call("POST", "/hooks", type="forgejo", active=True, config=config, events=wanted)
    assert (made.status_code, made.json()["type"], made.json()["events"]) == (201, "forgejo", ["push"])
    await forgejo.server.set_status(REPO, "main", "ci", "success")
    await forgejo.server.settled()
    assert forgejo.heard == []


async def test_combined_statuses_are_the_worst_of_all_and_nothing_at_all_for_none(forgejo: Forgejo) -> None:
    sha = forgejo.server.branch_sha(REPO, "main")
    empty = (await forgejo.call("GET", f"/commits/{sha}/status")).json()
    assert (empty["state"], empty["sha"], empty["total_count"], empty["statuses"]) == ("", "", 0, None)
    for states, worst in ((("success", "warning"), "warning"), (("pending", "error"), "failure")):
        for number, state in enumerate(states):
            await forgejo.server.set_status(REPO, "main", f"ci/{number}", state)
        assert (await forgejo.call("GET", f"/commits/{sha}/status")).json()["state"] == worst


async def test_a_branch_with_a_slash_has_no_combined_status_unless_escaped(forgejo: Forgejo) -> None:
    await forgejo.server.push(REPO, "agent/x", {"x": "1"})
    assert (await forgejo.call("GET", "/commits/agent/x/status")).status_code == 404
    assert (await forgejo.call("GET", "/commits/agent%2Fx/status")).status_code == 200


async def test_its_list_of_pull_requests_knows_no_filter_by_base(forgejo: Forgejo) -> None:
    await forgejo.server.push(REPO, "agent/x", {"x": "1"})
    await forgejo.server.open_pull(REPO, "agent/x")
    assert len((await forgejo.call("GET", "/pulls?base_branch=elsewhere")).json()) == 1


async def test_its_refusals_to_merge_are_the_older_ones(forgejo: Forgejo) -> None:
    sha = await forgejo.server.push(REPO, "agent/x", {"x": "1"})
    await forgejo.server.open_pull(REPO, "agent/x")
    await forgejo.server.checked(REPO, 1)
    await forgejo.call("POST", "/branch_protections", rule_name="main", enable_push=True, enable_status_check=True)
    refused = await forgejo.call("POST", "/pulls/1/merge", Do="merge")
    assert refused.status_code == 405
    assert refused.json()["message"] == "not allowed to merge [reason: Not all required status checks successful]"
    await forgejo.server.set_status(REPO, sha, "ci", "success")
    assert (await forgejo.call("POST", "/pulls/1/merge", Do="merge")).status_code == 200
    again = await forgejo.call("POST", "/pulls/1/merge", Do="merge")
    assert (again.status_code, again.json()["message"]) == (405, "")
