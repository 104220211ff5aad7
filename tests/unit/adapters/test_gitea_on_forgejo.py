"""The Gitea adapter on a Forgejo: what works as it does on Gitea, and what it says does not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor.adapters.gitea import EVENTS, GiteaForge, product_of
from conveyor.adapters.gitea import webhook as parser
from conveyor.adapters.gitea.hook_contents import Push, RefChange
from conveyor.contracts.observed import CiState, MergeAnswer
from conveyor.simulator.gitea import FORGEJO, GiteaServer
from conveyor.simulator.http_server import HttpServer

REPO = "orch/demo"
BRANCH = "feature/A-1-door"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GiteaServer]:
    async with GiteaServer(tmp_path, flavour=FORGEJO) as server:
        for login in ("orch", "ada"):
            server.create_user(login)
        await server.create_repo(REPO)
        server.add_collaborator(REPO, "ada")
        yield server


@pytest.fixture
async def forge(server: GiteaServer) -> AsyncIterator[GiteaForge]:
    forge = GiteaForge(server.url, server.create_token("orch"))
    yield forge
    await forge.close()


@pytest.mark.parametrize(
    ("version", "is_forgejo", "level", "events"),
    [
        ("1.26.4", False, (1, 26), {"status", "workflow_run"}),
        ("1.24.0+rc1", False, (1, 24), {"status"}),
        ("1.23.0", False, (1, 23), set()),
        ("1.27.0+dev-123-g3d2bbd25ec", False, (1, 27), {"status", "workflow_run"}),
        ("12.0.0+gitea-1.22.0", True, (1, 22), set()),
        ("7.0.1+gitea-1.22.0", True, (1, 22), set()),
        ("15.0.0-dev", True, (15, 0), set()),
        ("development", False, (0, 0), set()),
    ],
)
def test_a_version_tells_the_product_and_what_it_can_tell(
    version: str, is_forgejo: bool, level: tuple[int, int], events: set[str]
) -> None:
    product = product_of(version)
    assert (product.is_forgejo, product.level) == (is_forgejo, level)
    assert set(product.events) == {"push", "create", "delete", "pull_request", "issue_comment"} | events
    assert product.tells_ci is ("status" in events)
    assert any("polling" in told for told in product.shortcomings) is not product.tells_ci


async def test_it_says_what_it_lacks(forge: GiteaForge) -> None:
    product = await forge.product()
    assert (product.name, product.version) == ("Forgejo", "12.0.0+gitea-1.22.0")
    assert product.shortcomings == (
        "Forgejo 12.0.0+gitea-1.22.0 tells no commit status by webhook: CI is noticed by polling alone",
    )


async def test_ci_is_read_by_asking(forge: GiteaForge, server: GiteaServer) -> None:
    sha = await server.push(REPO, BRANCH, {"x": "1"})
    assert (await forge.ci_status(REPO, sha)).state is CiState.NONE
    for state, expected in (("pending", CiState.PENDING), ("warning", CiState.RED), ("success", CiState.GREEN)):
        await server.set_status(REPO, sha, "ci", state)
        assert (await forge.ci_status(REPO, sha)).state is expected


async def test_a_webhook_is_registered_once_though_it_cannot_bring_all(forge: GiteaForge, server: GiteaServer) -> None:
    url = "http://127.0.0.1:9/webhook/gitea"
    assert [await forge.ensure_hook(REPO, url, "one") for _ in range(3)] == [True, False, False]
    (hook,) = server.repo(REPO).hooks.values()
    assert hook.type == "gitea"
    assert "status" not in hook.events
    assert "status" in EVENTS


async def test_the_whole_way_from_a_branch_to_its_deletion(forge: GiteaForge, server: GiteaServer) -> None:
    await forge.ensure_branch(REPO, BRANCH, "main")
    sha = await server.push(REPO, BRANCH, {"x": "1"})
    pull = await forge.ensure_pull_request(REPO, BRANCH, "main", "Door", "")
    assert await forge.find_pull_request(REPO, BRANCH, "main") == pull
    server.approve_review(REPO, pull.number, by="ada")
    assert [review.verdict for review in await forge.reviews(REPO, pull.number)] == ["approved"]
    await server.settled()
    assert (await forge.merge(REPO, pull.number, sha)).answer is MergeAnswer.MERGED
    assert (await forge.merge(REPO, pull.number, sha)).answer is MergeAnswer.MERGED
    await forge.delete_branch(REPO, BRANCH)
    assert await forge.branch_sha(REPO, BRANCH) is None


async def test_an_older_refusal_is_understood(forge: GiteaForge, server: GiteaServer) -> None:
    sha = await server.push(REPO, BRANCH, {"x": "1"})
    pull = await forge.ensure_pull_request(REPO, BRANCH, "main", "Door", "")
    server.protect(REPO, "main", enable_status_check=True)
    await server.settled()
    refused = await forge.merge(REPO, pull.number, sha)
    assert refused.answer is MergeAnswer.CHECKS
    assert "Not all required status checks successful" in refused.reason


@pytest.mark.parametrize("kind", ["gitea", "forgejo"])
async def test_its_deliveries_read_like_giteas_whatever_type_the_hook_has(server: GiteaServer, kind: str) -> None:
    heard: asyncio.Queue[parser.GiteaDelivery] = asyncio.Queue()

    async def take(request: Request) -> Response:
        body = await request.body()
        assert parser.verify(body, parser.signature_of(request.headers), ["s3cr3t"])
        heard.put_nowait(parser.parse(request.headers, body))
        return Response()

    async with HttpServer(Starlette(routes=[Route("/", take, methods=["POST"])])) as receiver:
        server.add_hook(REPO, f"{receiver.url}/", "s3cr3t", kind=kind)
        sha = await server.push(REPO, BRANCH, {"x": "1"})
        await server.delete_branch(REPO, BRANCH)
        await server.settled()
    contents = [heard.get_nowait().content for _ in range(heard.qsize())]
    assert contents == [
        RefChange(name=BRANCH, is_branch=True, is_created=True, sha=sha),
        Push(branch=BRANCH, before="", after=sha),
        RefChange(name=BRANCH, is_branch=True, is_created=False, sha=""),
    ]
