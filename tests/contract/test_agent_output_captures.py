"""What real agent CLIs printed, read to the report that the runner acts on."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from conveyor.adapters.agents import AgentReport, Parser, parser_for
from conveyor.contracts.errors import SettingsError
from conveyor.contracts.outcomes import OutcomeReason, Usage

GOLDEN = Path(__file__).parent / "golden" / "agents"


def fed(name: str, *, lines: int | None = None) -> Parser:
    parser = parser_for("claude-stream-json" if name.startswith("claude") else "text")
    for line in (GOLDEN / f"{name}.stdout").read_bytes().splitlines(keepends=True)[:lines]:
        parser.feed(line)
    return parser


def report(name: str) -> AgentReport:
    return fed(name).result()


def test_a_good_run_says_so_with_its_cost_session_and_last_words() -> None:
    said = report("claude-ok")
    assert (said.ok, said.reason, said.is_transient) == (True, OutcomeReason.FINISHED, False)
    assert said.usage == Usage(input_tokens=3000, output_tokens=100, cost_usd=0.01212)
    assert said.session_id == "1d02bad3-36b3-48ee-b77a-15b73e9f1299"
    assert (said.summary, said.error, said.bad_lines) == ("Done: wrote docs/x.md", "", 0)


@pytest.mark.parametrize(
    ("name", "reason", "is_transient", "words"),
    [
        ("claude-401", OutcomeReason.AGENT_ERROR, False, "Invalid API key"),
        ("claude-429-ra2", OutcomeReason.RATE_LIMITED, True, "Request rejected (429)"),
        ("claude-oauth-limit", OutcomeReason.RATE_LIMITED, True, "hit your 5-hour limit"),
        ("claude-529", OutcomeReason.OVERLOADED, True, "Repeated 529 Overloaded"),
        ("claude-maxturns", OutcomeReason.AGENT_ERROR, False, "maximum number of turns"),
    ],
)
def test_a_bad_run_is_told_by_is_error_and_never_by_its_subtype(
    name: str, reason: OutcomeReason, is_transient: bool, words: str
) -> None:
    said = report(name)
    assert (said.ok, said.reason, said.is_transient) == (False, reason, is_transient)
    assert words in said.error


def test_a_used_up_subscription_tells_when_it_is_full_again() -> None:
    assert report("claude-oauth-limit").resets_at == datetime.fromtimestamp(1795190000, UTC)
    assert report("claude-429-ra2").resets_at is None


def test_a_rejected_key_is_hopeless_at_the_first_retry() -> None:
    lines = (GOLDEN / "claude-401.stdout").read_bytes().splitlines()
    first = next(number for number, line in enumerate(lines) if b"api_retry" in line)
    assert fed("claude-401", lines=first).hopeless == ""
    assert "401" in fed("claude-401", lines=first + 1).hopeless
    assert fed("claude-429-ra2").hopeless == ""


def test_a_run_that_was_stopped_while_it_retried_tells_the_trouble() -> None:
    lines = (GOLDEN / "claude-429-ra2.stdout").read_bytes().splitlines()
    first = next(number for number, line in enumerate(lines) if b"api_retry" in line)
    said = fed("claude-429-ra2", lines=first + 1).result()
    assert (said.ok, said.reason, said.is_transient) == (None, OutcomeReason.RATE_LIMITED, True)


def test_of_several_results_the_last_counts_and_the_cost_is_counted_once() -> None:
    said = report("claude-bg-short")
    assert (said.ok, said.summary) == (True, "bash finished")
    assert said.usage == Usage(input_tokens=4500, output_tokens=150, cost_usd=0.01818)


def test_after_a_result_the_run_may_go_on() -> None:
    lines = (GOLDEN / "claude-bg-short.stdout").read_bytes().splitlines()
    results = [number for number, line in enumerate(lines) if b'"type":"result"' in line]
    assert [fed("claude-bg-short", lines=number + 1).has_result for number in results] == [True, True]
    resumed = next(n for n, line in enumerate(lines) if n > results[0] and b'"type":"assistant"' in line)
    went_on = fed("claude-bg-short", lines=resumed + 1)
    assert not went_on.has_result
    assert went_on.result().ok is None, "a turn that is cut off is no success, whatever the one before it said"


def test_a_resumed_session_counts_this_run_alone() -> None:
    assert report("claude-res-2same").usage == Usage(input_tokens=1500, output_tokens=50, cost_usd=0.00606)


def test_a_run_without_a_result_tells_the_tokens_of_its_messages_once_each() -> None:
    lines = (GOLDEN / "claude-ok.stdout").read_bytes().splitlines()
    said = fed("claude-ok", lines=len(lines) - 1).result()
    assert said.ok is None
    assert said.usage.input_tokens == 3000


def test_noise_is_counted_and_harms_nothing() -> None:
    parser = fed("claude-ok")
    for noise in (
        b"",
        b"\n",
        b"not json\n",
        b"[1]",
        b"\xff\xfe",
        b'{"type":"result","is_error":"maybe"}',
        b'{"type":"new"}',
    ):
        parser.feed(noise)
    said = parser.result()
    assert (said.ok, said.bad_lines) == (True, 4)


def test_aider_says_nothing_of_itself_but_what_it_used() -> None:
    said = report("aider-ok")
    assert (said.ok, said.error) == (None, "")
    assert said.usage == Usage(input_tokens=1000, output_tokens=50)
    assert said.summary.endswith("Applied edit to x.md")


def test_aider_that_gave_up_failed_although_it_exits_with_0() -> None:
    said = report("aider-429")
    assert (said.ok, said.reason, said.is_transient) == (False, OutcomeReason.RATE_LIMITED, True)


def test_an_unknown_format_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(SettingsError, match="claude-stream-json"):
        parser_for("morse")
