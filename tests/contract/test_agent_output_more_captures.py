"""What Codex, Gemini and opencode really printed, read to the report that the runner acts on."""

import json
from pathlib import Path

import pytest

from conveyor.adapters.agents import AgentReport, Parser, parser_for
from conveyor.contracts.outcomes import OutcomeReason, Usage

GOLDEN = Path(__file__).parent / "golden" / "agents"
FORMATS = {"codex": "codex-jsonl", "gemini": "gemini-stream-json", "opencode": "opencode-json"}


def lines_of(name: str) -> list[bytes]:
    return (GOLDEN / f"{name}.stdout").read_bytes().splitlines(keepends=True)


def fed(name: str, *, lines: int | None = None) -> Parser:
    parser = parser_for(FORMATS[name.partition("-")[0]])
    for line in lines_of(name)[:lines]:
        parser.feed(line)
    return parser


def report(name: str) -> AgentReport:
    return fed(name).result()


def told(cli: str, *lines: object) -> Parser:
    parser = parser_for(FORMATS[cli])
    for line in lines:
        parser.feed(json.dumps(line).encode())
    return parser


@pytest.mark.parametrize(
    ("name", "usage", "session_id"),
    [
        ("codex-ok", Usage(input_tokens=2000, output_tokens=100), "01a1f801-f966-7fd2-9b5e-30af58e7d97a"),
        ("gemini-ok", Usage(input_tokens=2000, output_tokens=100), "b30e0678-2ef6-4d71-a506-88b7a073a7e8"),
        (
            "opencode-ok",
            Usage(input_tokens=2000, output_tokens=100, cost_usd=0.0057),
            "ses_e07f9ef45ffepdz0nOSVOwLc3d",
        ),
    ],
)
def test_a_good_run_says_so_with_its_tokens_session_and_last_words(name: str, usage: Usage, session_id: str) -> None:
    said = report(name)
    assert (said.ok, said.reason, said.is_transient) == (True, OutcomeReason.FINISHED, False)
    assert (said.usage, said.session_id) == (usage, session_id)
    assert (said.summary, said.error, said.bad_lines) == ("hello from mock", "", 0)
    assert fed(name).has_result
    assert fed(name).hopeless == ""


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("codex-429", OutcomeReason.RATE_LIMITED, "429 Too Many Requests"),
        ("codex-401", OutcomeReason.AGENT_ERROR, "Incorrect API key"),
        ("opencode-429", OutcomeReason.RATE_LIMITED, "APIError: Rate limited (429)"),
        ("opencode-401", OutcomeReason.AGENT_ERROR, "APIError: bad key (401)"),
    ],
)
def test_a_bad_run_tells_why_and_whether_it_passes(name: str, reason: OutcomeReason, words: str) -> None:
    said = report(name)
    assert (said.ok, said.reason) == (False, reason)
    assert said.is_transient is (reason is OutcomeReason.RATE_LIMITED)
    assert words in said.error
    assert said.summary == ""
    assert fed(name).has_result


def test_codex_with_a_rejected_key_is_hopeless_at_its_first_retry() -> None:
    first = next(n for n, line in enumerate(lines_of("codex-401")) if b"Reconnecting" in line)
    assert fed("codex-401", lines=first).hopeless == ""
    assert "401" in fed("codex-401", lines=first + 1).hopeless
    assert fed("codex-429").hopeless == ""


def test_codex_that_was_stopped_while_it_retried_tells_the_trouble() -> None:
    first = next(n for n, line in enumerate(lines_of("codex-429")) if b"Reconnecting" in line)
    parser = fed("codex-429", lines=first + 1)
    assert not parser.has_result
    said = parser.result()
    assert (said.ok, said.reason, said.is_transient) == (None, OutcomeReason.RATE_LIMITED, True)


def test_an_item_of_type_error_is_codexs_warning_and_no_trouble() -> None:
    said = fed("codex-ok", lines=2).result()
    assert (said.ok, said.reason, said.error) == (None, None, "")


def test_codex_goes_on_when_another_turn_begins() -> None:
    parser = fed("codex-ok")
    parser.feed(b'{"type":"turn.started"}')
    assert not parser.has_result
    assert parser.result().ok is None


@pytest.mark.parametrize(
    ("words", "reason", "wait_s"),
    [
        ("You've hit your usage limit. Upgrade or try again in 3 hours.", OutcomeReason.RATE_LIMITED, 10800.0),
        ("unexpected status 503 Service Unavailable: busy", OutcomeReason.OVERLOADED, None),
        ("stream disconnected before completion: reset", OutcomeReason.NETWORK, None),
        ("the model does not exist", OutcomeReason.AGENT_ERROR, None),
        ("", OutcomeReason.AGENT_ERROR, None),
    ],
)
def test_codexs_words_are_read_where_there_is_no_status(words: str, reason: OutcomeReason, wait_s: float) -> None:
    said = told("codex", {"type": "turn.failed", "error": {"message": words}}).result()
    assert (said.ok, said.reason, said.retry_after_s) == (False, reason, wait_s)


def test_gemini_that_still_retries_says_nothing_of_itself() -> None:
    """Its retries stand on stderr, which the runner reads for hints."""
    said = report("gemini-429")
    assert (said.ok, said.reason, said.is_transient) == (None, None, False)
    assert said.session_id == "f5fe1968-b533-4d1c-bea2-b6a48190d999"
    assert not fed("gemini-429").has_result


def test_gemini_that_failed_tells_why() -> None:
    failure = {"type": "result", "status": "error", "error": {"type": "FatalTurnLimited", "message": "too many turns"}}
    said = told("gemini", failure).result()
    assert (said.ok, said.reason, said.error) == (False, OutcomeReason.AGENT_ERROR, "too many turns")
    quota = {"type": "result", "status": "error", "error": {"message": "429 quota exceeded, retry in 42s"}}
    said = told("gemini", quota).result()
    assert (said.reason, said.is_transient, said.retry_after_s) == (OutcomeReason.RATE_LIMITED, True, 42.0)


def test_geminis_answer_comes_in_pieces_and_the_last_one_counts() -> None:
    def piece(text: str) -> dict[str, object]:
        return {"type": "message", "role": "assistant", "content": text, "delta": True}

    work = {"type": "tool_use", "tool_name": "write_file"}
    warning = {"type": "error", "severity": "warning", "message": "loop detected"}
    done = {"type": "result", "status": "success"}
    said = told("gemini", piece("I will "), piece("look"), work, piece("Done"), warning, piece("."), done).result()
    assert (said.ok, said.summary, said.error) == (True, "Done.", "")


def test_opencode_tells_the_wait_of_the_providers_header() -> None:
    assert report("opencode-429").retry_after_s == 2.0
    assert report("opencode-401").retry_after_s is None


def test_opencode_goes_on_after_a_step_that_called_a_tool() -> None:
    finish = next(n for n, line in enumerate(lines_of("opencode-ok")) if b"step_finish" in line)
    parser = fed("opencode-ok", lines=finish + 1)
    assert not parser.has_result
    assert parser.result().ok is None
    assert parser.usage == Usage(input_tokens=1000, output_tokens=50, cost_usd=0.00285)


def test_opencode_whose_answer_was_cut_off_did_not_succeed() -> None:
    said = told("opencode", {"type": "step_finish", "part": {"reason": "length"}}).result()
    assert (said.ok, said.reason, said.error) == (False, OutcomeReason.AGENT_ERROR, "the last step ended with length")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"message": "connection refused"}, OutcomeReason.NETWORK),
        ({"message": "no answer", "isRetryable": True}, OutcomeReason.NETWORK),
        ({"message": "overloaded", "statusCode": 529}, OutcomeReason.OVERLOADED),
        ({}, OutcomeReason.AGENT_ERROR),
    ],
)
def test_opencodes_errors_are_read_by_status_then_by_words(data: dict[str, object], reason: OutcomeReason) -> None:
    said = told("opencode", {"type": "error", "error": {"name": "APIError", "data": data}}).result()
    assert (said.ok, said.reason) == (False, reason)
    assert said.error.startswith("APIError")


@pytest.mark.parametrize("name", ["codex-ok", "gemini-ok", "opencode-ok"])
def test_noise_between_the_lines_is_counted_and_harms_nothing(name: str) -> None:
    parser = fed(name)
    for noise in (b"", b"\n", b"not json\n", b"[1]", b"\xff\xfe", b'{"type":7}', b'{"type":"new"}'):
        parser.feed(noise)
    said = parser.result()
    assert (said.ok, said.bad_lines) == (True, 4)


@pytest.mark.parametrize("name", ["codex-ok", "gemini-ok", "opencode-ok"])
def test_at_any_line_the_report_can_be_asked_for(name: str) -> None:
    for count in range(len(lines_of(name))):
        said = fed(name, lines=count).result()
        assert said.ok is None
        assert said.error == ""
