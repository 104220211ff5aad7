"""What set-up and diagnosis make of what they see: pure tables, one case a trap."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conveyor.cli.doctor import clocks, counts, disk, round_trip
from conveyor.cli.doctor.examination import both_ends
from conveyor.cli.doctor.finding import Clipboard, Finding, Level, diagnosis
from conveyor.cli.doctor.people import look_at_people
from conveyor.cli.doctor.tracker import shown
from conveyor.cli.doctor.webhooks import place_of
from conveyor.cli.outside import Outside
from conveyor.cli.setup.addresses import Address, Kind, kind_of, looked_up
from conveyor.cli.setup.checked import Reading
from conveyor.cli.setup.hooks import faults, strangers
from conveyor.cli.setup.senders import for_gitea, for_plane
from conveyor.cli.show.findings import lines
from conveyor.contracts.errors import SettingsError, TransientError
from conveyor.contracts.observed import TrackerMember
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.project import Project
from conveyor.gateway.settings import GatewaySettings
from conveyor.gateway.settings import Settings as Gateway

pytestmark = pytest.mark.behaviour("OP-4")
PLANE = "https://plane.example.org"
NOON = datetime(2026, 1, 5, 12, 0, 0, 400_000, tzinfo=UTC)


def address(host: str, kind: Kind, url: str = "", *, is_literal: bool = False) -> Address:
    return Address(url=url or f"http://{host}:8080", host=host, kind=kind, is_literal=is_literal, has_port=not url)


def the(notes: Clipboard) -> Finding:
    (one,) = notes.findings
    return one


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (("127.0.0.1",), Kind.LOOPBACK),
        (("::1",), Kind.LOOPBACK),
        (("10.1.2.3",), Kind.PRIVATE),
        (("172.17.0.2",), Kind.PRIVATE),
        (("fd00::1",), Kind.PRIVATE),
        (("100.100.1.1",), Kind.SHARED),
        (("93.184.216.34",), Kind.PUBLIC),
        (("93.184.216.34", "192.168.1.1"), Kind.PRIVATE),
        ((), Kind.UNKNOWN),
    ],
)
def test_an_address_is_as_hard_to_reach_as_its_hardest(found: tuple[str, ...], kind: Kind) -> None:
    assert kind_of(found) is kind


async def test_an_address_is_taken_apart() -> None:
    found = await looked_up("http://127.0.0.1:8080/hooks/webhook/gitea")
    assert (found.url, found.kind, found.is_literal) == ("http://127.0.0.1:8080/hooks", Kind.LOOPBACK, True)
    assert found.hook("plane") == "http://127.0.0.1:8080/hooks/webhook/plane"


def test_plane_is_told_of_hosts_that_it_refuses_otherwise() -> None:
    assert for_plane(address("conveyor.example.org", Kind.PUBLIC), PLANE, "acme").environment == ()
    for host, kind in (("10.1.2.3", Kind.PRIVATE), ("conveyor.internal", Kind.UNKNOWN), ("127.0.0.1", Kind.LOOPBACK)):
        assert for_plane(address(host, kind), PLANE, "acme").environment == (f"WEBHOOK_ALLOWED_HOSTS={host}",)
    below = for_plane(address("hooks.plane.example.org", Kind.PUBLIC), PLANE, "acme")
    assert below.environment == ("WEBHOOK_ALLOWED_HOSTS=hooks.plane.example.org",)
    assert "Plane's own" in below.steps[0]


def test_plane_takes_no_bare_name_and_no_loopback_without_a_port() -> None:
    bare = for_plane(address("gateway", Kind.UNKNOWN), PLANE, "acme")
    assert "gateway.internal" in bare.problems[0]
    assert bare.environment == ("WEBHOOK_ALLOWED_HOSTS=gateway.internal",)
    assert (
        "only with a port" in for_plane(address("localhost", Kind.LOOPBACK, "http://localhost"), PLANE, "a").problems[0]
    )
    literal = address("10.1.2.3", Kind.PRIVATE, is_literal=True)
    assert for_plane(literal, PLANE, "acme").problems == ()


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        (Kind.PUBLIC, None),
        (Kind.PRIVATE, "private"),
        (Kind.LOOPBACK, "loopback"),
        (Kind.SHARED, "100.64.0.0/10"),
        (Kind.UNKNOWN, "conveyor.internal"),
    ],
)
def test_gitea_is_told_of_kinds_that_it_refuses_otherwise(kind: Kind, allowed: str | None) -> None:
    found = for_gitea(address("conveyor.internal", kind)).settings
    assert found == (() if allowed is None else ("[webhook]", f"ALLOWED_HOST_LIST = external,{allowed}"))


# --- webhooks -------------------------------------------------------------------------------------------------------


def hook(url: str = "u/webhook/gitea", **fields: Any) -> Any:
    given = {"hook_id": 1, "is_active": True, "content_type": "json", "events": ("push", "status"), **fields}
    return SimpleNamespace(url=url, **given)


@pytest.mark.parametrize(
    ("hooks", "part"),
    [
        ([], "not registered"),
        ([hook(is_active=False)], "switched off"),
        ([hook(content_type="form")], "forms"),
        ([hook(events=("push",))], "status"),
        ([hook(), hook()], "2 times"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_named(hooks: list[Any], part: str) -> None:
    (found,) = faults(hooks, "u/webhook/gitea", ("push", "status"))
    assert part in found


def test_a_good_webhook_has_no_faults_and_others_are_seen() -> None:
    hooks = [hook(), hook("old/webhook/gitea"), hook("https://chat.example.org/x")]
    assert faults(hooks, "u/webhook/gitea", ("push", "status")) == ()
    assert strangers(hooks, "u/webhook/gitea") == ("old/webhook/gitea",)


def test_a_gateway_is_looked_for_where_it_says() -> None:
    public = place_of(GatewaySettings(host="0.0.0.0", public_url="https://c.example.org/"))  # noqa: S104 - a setting
    assert (public.public, public.local) == (
        "https://c.example.org",
        ("http://127.0.0.1:8080", "https://c.example.org"),
    )
    assert place_of(GatewaySettings(port=81)).public == "http://127.0.0.1:81"


def answered(status: int, text: str = '{"status":"ignored"}') -> round_trip.Answered:
    return round_trip.Answered(status=status, text=text, is_ours=True)


@pytest.mark.parametrize(
    ("unsigned", "signed", "levels", "part"),
    [
        (answered(401), answered(202), [Level.OK, Level.OK], "let in"),
        (answered(401), answered(401, '{"reason":"bad_signature"}'), [Level.OK, Level.FAILED], "another secret"),
        (answered(503, '{"reason":"no_secret"}'), answered(503), [Level.FAILED], "no webhook secret"),
        (answered(202), answered(202), [Level.FAILED, Level.OK], "let in"),
        (answered(401), answered(500), [Level.OK, Level.FAILED], "500"),
    ],
)
def test_the_gateways_answers_are_judged(unsigned: Any, signed: Any, levels: list[Level], part: str) -> None:
    notes = Clipboard("webhooks")
    round_trip.judge(unsigned, signed, notes)
    assert [finding.level for finding in notes.findings] == levels
    assert part in notes.findings[-1].told


@pytest.mark.parametrize(("status", "part"), [(302, "redirect"), (403, "login"), (502, "proxy"), (404, "through")])
def test_what_stands_in_front_of_the_gateway_is_named(status: int, part: str) -> None:
    assert part in round_trip.advice_on(status)


def test_only_what_senders_sent_counts_as_heard_of() -> None:
    text = "\n".join(
        f'conveyor_gateway_deliveries_total{{outcome="{outcome}",reason="{reason}",source="plane"}} {count}'
        for outcome, reason, count in (
            ("stored", "IssueStarted", "2.0"),
            ("ignored", "own_account", "1.0"),
            ("ignored", "unused_kind", "7.0"),
            ("refused", "unsigned", "9.0"),
        )
    )
    found = counts.counts(text)
    assert found["plane", "stored", "IssueStarted"] == 2
    assert counts.heard(found, "plane") == 3
    assert counts.heard(found, "gitea") == 0


# --- clocks, disk, people -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "off_s"),
    [
        ("Mon, 05 Jan 2026 12:00:00 GMT", 0.0),
        ("Mon, 05 Jan 2026 12:00:10 GMT", 9.5),
        ("Mon, 05 Jan 2026 11:59:50 GMT", -9.4),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_clocks_skew_is_what_is_surely_wrong(date: str, off_s: float | None) -> None:
    """The header has no fractions, and was written at some moment of the 0.1 s that the question took."""
    found = clocks.skew_s(date, NOON, NOON + timedelta(seconds=0.1))
    assert found == (None if off_s is None else pytest.approx(off_s))


@pytest.mark.parametrize(("off_s", "level"), [(1.9, Level.OK), (2.1, Level.WARNING), (-9.0, Level.WARNING)])
def test_more_than_two_seconds_are_a_warning(off_s: float, level: Level) -> None:
    notes = Clipboard("clocks")
    clocks.judge(notes, off_s)
    assert the(notes).level is level
    assert ("behind" in the(notes).told) == (off_s < -2)


@pytest.mark.parametrize(("free_mb", "level"), [(10_000, Level.OK), (1_000, Level.WARNING), (100, Level.FAILED)])
def test_a_full_disk_is_seen_coming(free_mb: int, level: Level) -> None:
    notes = Clipboard("disk")
    disk.room(notes, Path("/x"), free_mb * 1024 * 1024)
    assert the(notes).level is level


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = disk.look({"new": tmp_path / "a" / "b", "wrong": tmp_path / "file"})
    assert [(one.about, one.check) for one in found] == [("new", "room"), ("wrong", "writable")]


ADA = TrackerMember(user_id="ada", name="Ada", role="member")
BOT = TrackerMember(user_id="bot", name="Conveyor", role="member")
SHOP = Project(name="shop", tracker_project_id="1", identifier="SHOP", repository="acme/shop")


@pytest.mark.parametrize(
    ("members", "approvers", "levels"),
    [
        ((ADA, BOT), ("role:member",), [Level.OK, Level.OK]),
        ((ADA,), ("role:member",), [Level.FAILED, Level.OK]),
        ((BOT,), ("role:member",), [Level.FAILED, Level.WARNING]),
        ((ADA, BOT), ("Conveyor",), [Level.FAILED, Level.WARNING]),
        ((ADA, BOT), ("Grace",), [Level.OK, Level.WARNING]),
    ],
)
def test_the_bot_stands_apart_from_the_people(members: Any, approvers: Any, levels: list[Level]) -> None:
    notes = Clipboard("tracker")
    project = Project(name="shop", tracker_project_id="1", identifier="S", repository="a/b", approvers=approvers)
    look_at_people(members, project, "bot", notes)
    assert [finding.level for finding in notes.findings] == levels


def test_every_status_of_the_pipeline_is_looked_for() -> None:
    assert {"analysis", "code_review", "deploying", "blocked", "done"} <= set(shown(default_pipeline()))


# --- as a whole -----------------------------------------------------------------------------------------------------


def test_a_pause_that_was_asked_for_proves_nothing() -> None:
    notes = Clipboard("tracker")
    notes.trouble("api key", TransientError("used up", retry_after_s=30), "check it")
    notes.trouble("api key", TransientError("no answer"), "check it")
    assert [finding.level for finding in notes.findings] == [Level.SKIPPED, Level.FAILED]


def test_findings_are_counted_and_shown_with_what_to_do() -> None:
    notes = Clipboard("forge")
    notes.ok("token", "good")
    notes.of("acme/shop").failed("rights", "may not push", "let it")
    found = diagnosis(tuple(notes.findings))
    assert (found.ok, found.failed) == (1, 1)
    shown_lines = [line.plain for line in lines(found)]
    assert shown_lines[0] == "forge"
    assert "rights (acme/shop): may not push" in shown_lines[2]
    assert shown_lines[3].strip() == "→ let it"
    assert shown_lines[-1].startswith("1 ok, 0 warnings, 1 failed")


async def test_an_address_that_is_none_is_a_finding_and_hides_no_other() -> None:
    def refuse(_settings: object) -> Any:
        raise SettingsError("plane.url: cannot be used")

    reading = Reading(path=Path(), gateway=None, engine=None, runner=None, reconciler=None, faults=())
    found = await both_ends(reading, Gateway(), Outside(tracker=refuse, forge=refuse, formats=()))
    assert [(one.level, one.told) for one in found] == [(Level.FAILED, "plane.url: cannot be used")]
