"""Calls and totals as five CLIs print them: who goes in circles, and whose sums hold a whole session."""

import json
from pathlib import Path

import pytest

from conveyor.adapters.agents import call_in, parser_for

GOLDEN = Path(__file__).parent / "golden" / "agents"


@pytest.mark.behaviour("RU-13")
@pytest.mark.parametrize(
    ("capture", "calls"), [("claude-ok", 1), ("codex-ok", 1), ("gemini-ok", 1), ("opencode-ok", 1), ("aider-ok", 0)]
)
def test_each_tool_call_is_told_once(capture: str, calls: int) -> None:
    lines = (GOLDEN / f"{capture}.stdout").read_bytes().splitlines()
    assert len([call for call in map(call_in, lines) if call]) == calls


def test_the_same_call_has_the_same_text_whatever_its_ids() -> None:
    def line(number: int, command: str) -> bytes:
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {"command": command, "n": 1}}
        return json.dumps({"type": "assistant", "message": {"id": f"msg_{number}", "content": [use]}}).encode()

    assert call_in(line(1, "ls")) == call_in(line(2, "ls")) != call_in(line(3, "pwd"))


@pytest.mark.parametrize(
    "line", [b'"tool_use"', b"{\xff", b'{"type":"assistant","message":{"content":"\\"tool_use\\""}}']
)
def test_what_cannot_be_read_is_no_call(line: bytes) -> None:
    assert call_in(line) == ""


@pytest.mark.behaviour("RU-13")
@pytest.mark.parametrize(
    ("version", "has_share", "is_total"),
    [("2.1.197", False, False), ("2.1.270", False, False), ("2.1.285", False, True), ("2.1.328", True, False)],
)
def test_claude_tells_by_its_version_whose_total_it_is(version: str, has_share: bool, is_total: bool) -> None:
    parser = parser_for("claude-stream-json")
    parser.feed(json.dumps({"type": "system", "subtype": "init", "claude_code_version": version}).encode())
    result = {"type": "result", "is_error": False, "total_cost_usd": 2.0, "modelUsage": {}}
    share = {"model_usage_since_last_result": {"m": {"costUSD": 0.5}}} if has_share else {}
    parser.feed(json.dumps(result | share).encode())
    assert parser.is_session_total is is_total
    assert parser.usage.cost_usd == (0.5 if has_share else 2.0)


def test_codex_tells_the_threads_total() -> None:
    assert parser_for("codex-jsonl").is_session_total
