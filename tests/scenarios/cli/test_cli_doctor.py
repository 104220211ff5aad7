"""`conveyor setup webhooks` and `conveyor doctor` against simulated servers, a real bus and a gateway's process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conveyor.servicekit.bus import Bus
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.simulator.plane.world import PLANE_STATES
from tests.scenarios.cli.conftest import Conveyor, Done
from tests.scenarios.cli.ends import BOT, REPO, Ends, found, open_ends, wrong

pytestmark = pytest.mark.behaviour("OP-4")


@pytest.fixture
async def ends(nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Ends]:
    async with open_ends(nats.url, tmp_path) as made:
        yield made


async def run(conveyor: Conveyor, ends: Ends, *arguments: str) -> Done:
    return await conveyor("--config", str(ends.config), *arguments, "--json")


async def test_webhooks_are_registered_once_active_with_events_and_secret(conveyor: Conveyor, ends: Ends) -> None:
    dry = await run(conveyor, ends, "setup", "webhooks", "--dry-run")
    assert dry.json["repositories"][0]["done"] == "would register"
    assert ends.hooks == []
    first, again = [await run(conveyor, ends, "setup", "webhooks") for _ in range(2)]
    assert [one.json["repositories"][0]["done"] for one in (first, again)] == ["registered", "in place"]
    (hook,) = ends.hooks
    assert (hook.url, hook.secret, hook.active) == (f"{ends.url}/webhook/gitea", "gitea-secret", True)
    assert {"push", "status", "issue_comment"} <= set(hook.events)
    ends.write(gitea="another-secret")
    renewed = await run(conveyor, ends, "setup", "webhooks", "--new-secret")
    assert renewed.json["repositories"][0]["done"] == "renewed"
    assert [hook.secret for hook in ends.hooks] == ["another-secret"]


async def test_it_tells_what_both_servers_need_for_this_address(conveyor: Conveyor, ends: Ends) -> None:
    local = (await run(conveyor, ends, "setup", "webhooks", "--dry-run")).json
    assert local["gitea"]["settings"] == ["[webhook]", "ALLOWED_HOST_LIST = external,loopback"]
    assert local["plane"]["environment"] == ["WEBHOOK_ALLOWED_HOSTS=127.0.0.1"]
    inner = (await run(conveyor, ends, "setup", "webhooks", "--dry-run", "--url", "http://gateway:8080")).json
    assert "no host without a dot" in inner["plane"]["problems"][0]
    text = await conveyor("--config", str(ends.config), "setup", "webhooks", "--url", "http://10.1.2.3/webhook/gitea")
    assert text.code == 0, text.err
    assert "ALLOWED_HOST_LIST = external,private" in text.out
    assert "WEBHOOK_ALLOWED_HOSTS=10.1.2.3" in text.out
    assert "http://10.1.2.3/webhook/plane" in text.out
    assert "/settings/webhooks" in text.out


async def test_what_cannot_be_registered_is_told_and_fails(conveyor: Conveyor, ends: Ends) -> None:
    ends.gitea.add_collaborator(REPO, BOT, "write")
    done = await run(conveyor, ends, "setup", "webhooks")
    assert done.code == 1
    assert "403" in done.json["repositories"][0]["reason"]
    nowhere = await conveyor("--config", str(ends.config), "setup", "webhooks", "--url", "ftp://x")
    assert nowhere.code == 2
    assert "such as https://conveyor.example.org" in nowhere.err


async def test_when_all_is_well_the_doctor_finds_nothing(conveyor: Conveyor, ends: Ends, bus: Bus) -> None:
    (project,) = ends.plane.world.projects.values()
    async with ends.gateway():
        await run(conveyor, ends, "setup", "webhooks")
        ends.plane.add_webhook(f"{ends.url}/webhook/plane", secret="plane_wh_secret")
        ends.plane.move_issue(ends.plane.create_issue(project, "Sell tea"), "To Analyse")
        await ends.plane.courier.idle()
        done = await run(conveyor, ends, "doctor")
    assert wrong(done.json) == set(), done.out
    assert done.code == 0
    assert found(done.json, "webhooks", "signed", "plane")["level"] == "ok"
    assert found(done.json, "webhooks", "unsigned", "gitea")["level"] == "ok"
    assert found(done.json, "webhooks", "delivered")["level"] == "ok"
    assert found(done.json, "webhooks", "heard of")["level"] == "ok"
    assert found(done.json, "clocks", "skew", "gateway")["level"] == "ok"
    assert found(done.json, "agents", "starts")["level"] == "ok"
    assert found(done.json, "tracker", "rate limit")["level"] == "ok"
    assert found(done.json, "bus", "streams")["level"] == "ok"


async def test_what_degrades_is_a_warning_and_no_failure(
    conveyor: Conveyor, nats: NatsProcess, bus: Bus, tmp_path: Path
) -> None:
    async with open_ends(nats.url, tmp_path, PLANE_STATES) as ends, ends.gateway():
        await run(conveyor, ends, "setup", "webhooks")
        ends.gitea.add_hook(REPO, "http://127.0.0.1:9/webhook/gitea", "old")
        done = await run(conveyor, ends, "doctor")
    assert done.code == 0, done.out
    statuses = found(done.json, "tracker", "statuses")
    assert statuses["level"] == "warning"
    assert "code_review as In Progress" in statuses["told"]
    assert found(done.json, "tracker", "verdicts")["level"] == "warning"
    assert ("webhooks", "registered", "warning") in wrong(done.json)


async def test_a_doctor_without_a_gateway_says_what_to_start(conveyor: Conveyor, ends: Ends, bus: Bus) -> None:
    done = await conveyor("--config", str(ends.config), "doctor")
    assert done.code == 1
    assert "is the gateway running" in done.out
    assert "it is not registered" in done.out
    assert "run `conveyor setup webhooks`" in done.out


async def test_another_secret_at_the_gateway_or_the_forge_is_found(conveyor: Conveyor, ends: Ends, bus: Bus) -> None:
    async with ends.gateway():
        ends.gitea.add_hook(REPO, f"{ends.url}/webhook/gitea", "forgotten")
        ends.write(plane="changed-since")
        done = await run(conveyor, ends, "doctor")
    assert done.code == 1
    assert "another secret" in found(done.json, "webhooks", "signed", "plane")["told"]
    delivered = found(done.json, "webhooks", "delivered")
    assert (delivered["level"], "--new-secret" in delivered["advice"]) == ("failed", True)


async def test_wrong_keys_projects_and_rights_are_found(conveyor: Conveyor, ends: Ends) -> None:
    ends.gitea.add_collaborator(REPO, BOT, "read")
    (ends.folder / "conveyor.toml").write_text(
        ends.config.read_text().replace('"SHOP"', '"STORE"').replace(f'"{REPO}"', f'"{REPO}"\ntarget_branch = "trunk"')
    )
    done = await run(conveyor, ends, "doctor")
    assert "begin with SHOP-" in found(done.json, "tracker", "project")["told"]
    assert "may not push" in found(done.json, "forge", "rights")["told"]
    assert found(done.json, "forge", "target branch")["level"] == "failed"
    ends.write(api_key="no-key", token="no-token")
    done = await run(conveyor, ends, "doctor")
    assert "does not know the API key" in found(done.json, "tracker", "api key")["told"]
    assert "write:repository" in found(done.json, "forge", "token")["advice"]


async def test_a_configuration_that_cannot_be_read_is_the_one_finding(conveyor: Conveyor, ends: Ends) -> None:
    ends.config.write_text("[plane]\nurl = 5\n")
    done = await run(conveyor, ends, "doctor")
    assert done.code == 1
    assert {area for area, _, level in wrong(done.json) if level == "failed"} == {"configuration"}


async def test_a_doctor_away_from_the_services_leaves_its_own_machine_out(conveyor: Conveyor, ends: Ends) -> None:
    done = await run(conveyor, ends, "doctor", "--elsewhere")
    areas = {finding["area"] for finding in done.json["findings"]}
    assert {"tracker", "forge", "bus"} <= areas
    assert not areas & {"agents", "sandbox", "disk"}
