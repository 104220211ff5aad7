"""Sessions as they lie on a runner's host, and a resumed one's sums as the meter takes them."""

import json
import os
from pathlib import Path

import pytest

from conveyor.adapters.agents import parser_for
from conveyor.contracts.outcomes import Usage
from conveyor.runner.core.agent import Agent
from conveyor.runner.meter import Meter
from conveyor.runner.process import Stop, StopSwitch
from conveyor.runner.sessions import Sessions


def test_a_session_is_known_where_it_was_held_and_until_it_is_forgotten(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    assert sessions.told("codex", "s/1") is None
    sessions.note("codex", "s/1", Usage(input_tokens=1000))
    assert Sessions(tmp_path).told("codex", "s/1") == Usage(input_tokens=1000)
    assert sessions.told("claude", "s/1") is None
    sessions.forget("codex", "s/1")
    assert sessions.told("codex", "s/1") is None


def test_a_session_nobody_went_on_with_is_forgotten_after_its_time(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    for name in ("old", "young"):
        sessions.note("codex", name, Usage())
    os.utime(tmp_path / "sessions" / "codex" / "old.json", (0, 1000))
    os.utime(tmp_path / "sessions" / "codex" / "young.json", (0, 5000))
    sessions.prune(older_than_s=2000, now_s=6000)
    assert sessions.told("codex", "old") is None
    assert sessions.told("codex", "young") is not None


@pytest.mark.behaviour("RU-13")
def test_a_resumed_threads_total_costs_the_run_its_own_share_alone() -> None:
    parser = parser_for("codex-jsonl")
    switch = StopSwitch()
    agent = Agent(command=("codex",))
    meter = Meter(agent, Usage(input_tokens=2000, output_tokens=20), {}, switch)
    line = json.dumps({"type": "turn.completed", "usage": {"input_tokens": 3000, "output_tokens": 30}}).encode()
    parser.feed(line)
    meter.line(line, parser, lambda _line: "")
    assert meter.usage(parser) == Usage(input_tokens=1000, output_tokens=10)
    assert switch.reason is None


@pytest.mark.behaviour("RU-13")
def test_what_others_spent_meanwhile_stops_a_run_that_says_nothing() -> None:
    switch = StopSwitch()
    meter = Meter(Agent(command=("a",)), Usage(), {"day": 5.0}, switch)
    parser = parser_for("text")
    meter.weigh(parser)
    assert switch.reason is None
    meter.budgets["day"] = -0.5
    meter.weigh(parser)
    assert switch.reason is Stop.BUDGET
