"""Whatever anybody sends to the running gateway: no 5xx, and no event from a body that is unsigned or no delivery.

Requests are made up by schemathesis from the gateway's own OpenAPI document, and by hypothesis from captured
deliveries that it spoils. The gateway and its bus are real; nobody can be asked about issues or commits.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from conveyor.contracts.errors import MessageError
from conveyor.gateway.app.gitea_source import told_by_gitea
from conveyor.gateway.app.plane_source import told_by_plane
from conveyor.servicekit.bus import connect
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.servicekit.sections import NatsSettings
from tests.contract.spoiled import Capture, deliveries
from tests.scenarios.gateway.house import GITEA_SECRET, OLD, signature
from tests.scenarios.gateway.outage import GatewayProcess

READERS = {"plane": told_by_plane, "gitea": told_by_gitea}
SECRETS = {"plane": OLD, "gitea": GITEA_SECRET}
SIGNATURES = {"plane": "X-Plane-Signature", "gitea": "X-Gitea-Signature"}
GITEA = f"""\
[gitea]
url = "http://127.0.0.1:9"
token = "nobody-is-asked"
webhook_secret = "{GITEA_SECRET}"
bot_login = "conveyor"
"""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LIMITS = {"deadline": None, "phases": [Phase.generate], "database": None, "suppress_health_check": list(HealthCheck)}


@dataclass
class Fuzzed:
    """The gateway, and what it answered."""

    client: httpx.Client
    nats_url: str
    answers: list[tuple[bool, bytes, dict[str, Any]]] = field(default_factory=list)
    """Whether it was signed, the body, and the answer."""

    def send(self, source: str, body: bytes, headers: dict[str, str], *, is_signed: bool) -> httpx.Response:
        names = {"content-type": "application/json", **{name.lower(): value for name, value in headers.items()}}
        names = {name: value for name, value in names.items() if not name.endswith(("signature", "signature-256"))}
        names |= {SIGNATURES[source]: signature(body, SECRETS[source] if is_signed else "guess")}
        names.pop("content-length", None)
        answer = self.client.post(f"/webhook/{source}", content=body, headers=names)
        self.answers.append((is_signed, body, answer.json()))
        return answer

    async def stored(self) -> int:
        """How many events are on the bus."""
        bus = await connect(NatsSettings(url=self.nats_url), name="test")
        try:
            return int(msgspec.json.decode(await bus.api("STREAM.INFO.EVENTS"))["state"]["messages"])
        finally:
            await bus.close()


@pytest.fixture
async def fuzzed(own_nats: NatsProcess, tmp_path: Any) -> AsyncIterator[Fuzzed]:
    gateway = GatewayProcess(tmp_path, own_nats.url)
    config = tmp_path / "conveyor.toml"
    config.write_text(config.read_text() + GITEA)
    await gateway.start()
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=20) as client:
        yield Fuzzed(client, own_nats.url)
    gateway.stop()


@pytest.mark.behaviour("GW-2")
async def test_requests_made_up_from_our_own_document_meet_no_error_of_ours(fuzzed: Fuzzed) -> None:
    await asyncio.to_thread(_make_up, fuzzed)
    assert any(is_signed for is_signed, _, _ in fuzzed.answers)
    assert not [answer for is_signed, _, answer in fuzzed.answers if not is_signed and answer["status"] != "refused"]
    assert await fuzzed.stored() == 0


def _make_up(fuzzed: Fuzzed) -> None:
    schema = schemathesis.openapi.from_dict(fuzzed.client.get("/openapi.json").json())
    schema.config.update(base_url=str(fuzzed.client.base_url))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/webhook/plane", "/webhook/gitea", "/status", "/queue"}
    for operation in operations:
        can_be_wrong = bool(list(operation.iter_parameters())) or bool(operation.body)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)[: 1 + can_be_wrong]:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=50, **LIMITS)
            def meets_no_error(case: Case) -> None:
                _call(fuzzed, case)

            meets_no_error()


def _call(fuzzed: Fuzzed, case: Case) -> None:
    source = case.path.rpartition("/")[2]
    if source not in SECRETS or case.method.upper() != "POST":
        answer = fuzzed.client.request(case.method, case.path)
        case.validate_response(answer, checks=[not_a_server_error])
        return
    body = json.dumps(case.body, default=repr).encode()
    for is_signed in (True, False):
        answer = fuzzed.send(source, body, {"X-Gitea-Event": "push"}, is_signed=is_signed)
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code in ({200, 202, 400} if is_signed else {401})


@pytest.mark.behaviour("GW-1", "GW-2")
async def test_spoiled_deliveries_become_events_only_if_they_are_signed_and_can_be_read(fuzzed: Fuzzed) -> None:
    await asyncio.to_thread(_spoil, fuzzed)
    kept = {answer.get("event_id") for _, _, answer in fuzzed.answers if answer["status"] in {"stored", "duplicate"}}
    assert kept, "some survive being spoiled"
    spooled = sum(answer["status"] == "spooled" for _, _, answer in fuzzed.answers)
    assert len(kept) <= await fuzzed.stored() <= len(kept) + spooled


def _spoil(fuzzed: Fuzzed) -> None:
    @given(deliveries())
    @settings(max_examples=300, **LIMITS)
    def is_answered(capture: Capture) -> None:
        assert fuzzed.send(capture.source, capture.body, capture.headers, is_signed=False).status_code == 401
        answer = fuzzed.send(capture.source, capture.body, capture.headers, is_signed=True)
        try:
            READERS[capture.source](capture.headers, capture.body)
        except MessageError:
            assert answer.status_code == 400
        else:
            assert answer.status_code in {200, 202}, answer.text

    is_answered()
