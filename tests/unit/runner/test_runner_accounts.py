"""Breakers, money, versions and repetition: the pure parts that decide who may call an agent, and when it must stop."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason, Usage
from conveyor.contracts.spending import together
from conveyor.runner.core.breaker import Breaker, admit, after
from conveyor.runner.core.money import Price, cost_usd, own_share, spent_budget
from conveyor.runner.core.repetition import Repetition
from conveyor.runner.core.version import is_older

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LIMITED = Outcome(kind=OutcomeKind.TRANSIENT, reason=OutcomeReason.OVERLOADED, detail="529 Overloaded")
FAILED = Outcome(kind=OutcomeKind.FAILED, reason=OutcomeReason.AGENT_ERROR)
DONE = Outcome(kind=OutcomeKind.SUCCEEDED, reason=OutcomeReason.FINISHED)
GONE = Outcome(kind=OutcomeKind.LOST, reason=OutcomeReason.RUNNER_DIED)


def seen(*outcomes: Outcome, breaker: Breaker = Breaker(), run_id: str = "r", at: datetime = NOW) -> Breaker:  # noqa: B008 - frozen
    for outcome in outcomes:
        breaker = after(breaker, run_id, outcome, at)
    return breaker


@pytest.mark.behaviour("RU-9")
def test_three_transient_failures_in_a_row_open_it_for_five_minutes() -> None:
    assert seen(LIMITED, LIMITED).open_until is None
    opened = seen(LIMITED, LIMITED, LIMITED)
    assert opened.open_until == NOW + timedelta(seconds=300)
    assert admit(opened, "r9", NOW + timedelta(seconds=100)).wait_s == 200


@pytest.mark.behaviour("RU-9")
@pytest.mark.parametrize("other", [FAILED, DONE])
def test_a_plain_failure_or_a_success_breaks_the_streak(other: Outcome) -> None:
    assert seen(LIMITED, LIMITED, other, LIMITED, LIMITED).open_until is None


def test_a_run_that_was_lost_says_nothing_of_the_account() -> None:
    assert seen(LIMITED, LIMITED, GONE, LIMITED).open_until is not None


@pytest.mark.behaviour("RU-9")
def test_after_its_time_one_run_probes_and_the_others_wait_for_what_it_brings() -> None:
    later = NOW + timedelta(seconds=301)
    admission = admit(seen(LIMITED, LIMITED, LIMITED), "probe", later)
    assert admission.wait_s == 0
    assert admission.change is not None
    half_open = admission.change
    assert admit(half_open, "other", later).wait_s > 0
    assert admit(half_open, "probe", later).wait_s == 0, "it was delivered again"
    assert seen(DONE, breaker=half_open, run_id="probe", at=later) == Breaker()
    again = seen(LIMITED, breaker=half_open, run_id="probe", at=later)
    assert again.open_until == later + timedelta(seconds=300)
    assert seen(LIMITED, breaker=half_open, run_id="older", at=later).probe == "probe"
    assert seen(GONE, breaker=half_open, run_id="probe", at=later).probe == "", "another may probe"


def test_a_probe_nobody_hears_of_again_does_not_keep_it_open_for_ever() -> None:
    later = NOW + timedelta(seconds=301)
    half_open = admit(seen(LIMITED, LIMITED, LIMITED), "probe", later).change
    assert half_open is not None
    much_later = admit(half_open, "other", later + timedelta(hours=1)).change
    assert much_later is not None
    assert much_later.probe == "other"


@pytest.mark.behaviour("RU-9")
def test_a_usage_limit_closes_the_lane_until_its_reset_and_needs_no_probe() -> None:
    until = NOW + timedelta(hours=4)
    limited = seen(replace(LIMITED, reason=OutcomeReason.RATE_LIMITED, resets_at=until))
    assert limited.open_until == until
    assert seen(DONE, breaker=limited) == limited, "a run of before the limit"
    assert admit(limited, "r", until - timedelta(seconds=60)).wait_s == 60
    assert admit(limited, "r", until).change == Breaker()


@pytest.mark.behaviour("RU-9")
def test_a_limit_of_years_closes_no_lane_for_years() -> None:
    claimed = replace(LIMITED, reason=OutcomeReason.RATE_LIMITED, resets_at=NOW + timedelta(days=4000))
    assert seen(claimed).open_until is None
    assert seen(claimed, claimed, claimed).open_until == NOW + timedelta(seconds=300)


@pytest.mark.behaviour("RU-13")
@pytest.mark.parametrize(
    ("spent", "step", "stops"),
    [(0.5, 0.1, False), (0.9, 0.1, False), (0.9, 0.2, True), (0.96, 0.05, False), (1.0, 0.0, True), (3.0, 0.1, True)],
)
def test_a_run_stops_before_a_step_like_the_last_would_exceed_a_budget_by_five_percent(
    spent: float, step: float, stops: bool
) -> None:
    assert bool(spent_budget(spent, step, {"run": 1.0, "task": 9.0})) is stops


def test_the_tightest_budget_is_the_one_that_is_named() -> None:
    assert spent_budget(2.0, 0.1, {"task": 1.0, "run": 1.5}).startswith("the task's budget: it cost $2.00 of the $1.00")


@pytest.mark.behaviour("RU-13")
def test_a_sessions_total_is_not_counted_twice() -> None:
    """Codex, three equal runs of one thread, as measured: 1000, 2000, 3000."""
    totals = [Usage(input_tokens=tokens) for tokens in (1000, 2000, 3000)]
    before, spent = Usage(), Usage()
    for told in totals:
        spent = together(spent, own_share(told, before, is_session_total=True))
        before = told
    assert spent.input_tokens == 3000
    assert own_share(totals[2], totals[1], is_session_total=False).input_tokens == 3000


def test_tokens_have_a_price_where_the_agent_tells_no_cost() -> None:
    used = Usage(input_tokens=200_000, output_tokens=10_000)
    assert cost_usd(used, Price(input_usd=3.0, output_usd=15.0)) == 0.75
    assert cost_usd(replace(used, cost_usd=0.9), Price(input_usd=3.0)) == 0.9


@pytest.mark.behaviour("RU-13")
def test_the_same_call_again_and_again_is_noticed() -> None:
    repetition = Repetition(3)
    assert [repetition.note(call) for call in "aabaaab"] == [False, False, False, False, False, True, False]
    assert not any(Repetition(0).note("a") for _ in range(100))


@pytest.mark.behaviour("RU-6")
@pytest.mark.parametrize(
    ("said", "least", "old"),
    [
        ("2.1.328 (Claude Code)", "2.1.200", False),
        ("2.1.197 (Claude Code)", "2.1.200", True),
        ("codex-cli 0.169.0", "0.170", True),
        ("v10.2", "9.9.9", False),
        ("no version", "1.0", False),
    ],
)
def test_an_agent_older_than_its_least_version_is_told(said: str, least: str, old: bool) -> None:
    assert is_older(said, least) is old
