"""What a run shall be and what came of it: the runner's pure heart."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from conveyor.contracts.commands import StartRun
from conveyor.contracts.errors import PermanentError
from conveyor.contracts.outcomes import OutcomeKind, OutcomeReason, Usage
from conveyor.runner.core.agent import Agent
from conveyor.runner.core.classify import Ending, classify
from conveyor.runner.core.plan import Ground, commit_message, plan
from conveyor.runner.core.result_file import MAX_BYTES, Result, read_result
from conveyor.runner.prompts import ROLES, prompt_for

RUN = "shop-SHOP-12-r3"
K, R = OutcomeKind, OutcomeReason


def command(**changes: Any) -> StartRun:
    values: dict[str, Any] = {
        "command_id": "c", "project": "shop", "key": "SHOP-12", "revision": 3, "trace_id": "t",
        "issued_at": datetime(2026, 1, 5, tzinfo=UTC), "run_id": RUN, "stage": "review", "role": "reviewer",
        "agent": "claude", "attempt": 2, "issue_id": "i", "title": "Dark  mode\nnow", "branch": "feature/SHOP-12-dark",
        "docs_dir": "docs/tasks/SHOP-12", "documents": ("12-review.md",),
    }  # fmt: skip
    return StartRun(**{**values, **changes})


GROUND = Ground(
    environment={"PATH": "/bin", "LANG": "C", "CONVEYOR_GITEA__TOKEN": "t", "ANTHROPIC_API_KEY": "k", "OTHER": "o"},
    home="/home", scratch="/scratch", author=("A", "a@example.org"),
)  # fmt: skip


def test_environment_is_an_allow_list_and_tells_the_run() -> None:
    spec = plan(command(), Agent(command=("x",), env={"MODE": "1"}, pass_env=("ANTHROPIC_API_KEY", "MISSING")), GROUND)
    assert {"OTHER", "CONVEYOR_GITEA__TOKEN", "MISSING"}.isdisjoint(spec.env)
    assert spec.env["ANTHROPIC_API_KEY"] == "k"
    assert (spec.env["PATH"], spec.env["HOME"], spec.env["TMPDIR"], spec.env["MODE"]) == (
        "/bin",
        "/home",
        "/scratch",
        "1",
    )
    told = {name: value for name, value in spec.env.items() if name.startswith("CONVEYOR_")}
    assert told == {
        "CONVEYOR_ROLE": "reviewer",
        "CONVEYOR_TASK": "SHOP-12",
        "CONVEYOR_RUN_ID": RUN,
        "CONVEYOR_STAGE": "review",
        "CONVEYOR_ATTEMPT": "2",
        "CONVEYOR_DOCS_DIR": "docs/tasks/SHOP-12",
        "CONVEYOR_RESULT_FILE": f".conveyor/result-{RUN}.json",
    }


@pytest.mark.behaviour("RU-5")
def test_an_agents_own_time_outranks_the_stages() -> None:
    assert plan(command(timeout_s=60), Agent(command=("x",)), GROUND).wall_s == 60
    assert plan(command(timeout_s=60), Agent(command=("x",), timeout_s=90), GROUND).wall_s == 90


def test_a_session_is_resumed_where_the_agent_can() -> None:
    able = Agent(command=("x",), resume=("--resume", "{session_id}"))
    assert plan(command(session_id="s1"), able, GROUND).argv == ("x", "--resume", "s1")
    assert plan(command(), able, GROUND).argv == ("x",)
    assert plan(command(session_id="s1"), Agent(command=("x",)), GROUND).argv == ("x",)


def test_commit_names_task_role_and_run() -> None:
    message = commit_message(command())
    assert message.splitlines()[0] == "SHOP-12 reviewer: Dark mode now"
    assert f"Run: {RUN}" in message


class Said(Struct, kw_only=True):
    """What a parser might report."""

    ok: bool | None = None
    reason: OutcomeReason | None = None
    is_transient: bool = False
    usage: Usage = Usage(cost_usd=1.5)
    session_id: str = "s"
    summary: str = "last words"
    error: str = ""


def judged(ending: dict[str, Any], said: dict[str, Any] | None = None) -> tuple[OutcomeKind, OutcomeReason]:
    outcome = classify(Ending(**{"code": 0, **ending}), Said(**(said or {})))
    assert outcome.usage.cost_usd == (0 if "launch_error" in ending else 1.5)
    return outcome.kind, outcome.reason


@pytest.mark.behaviour("RU-7")
@pytest.mark.parametrize(
    ("ending", "said", "expected"),
    [
        ({"code": None, "launch_error": "no such file"}, {}, (K.FAILED, R.LAUNCH_FAILED)),
        ({"code": 0}, {}, (K.SUCCEEDED, R.FINISHED)),
        ({"code": 3}, {}, (K.FAILED, R.EXIT_CODE)),
        ({"code": -9}, {}, (K.FAILED, R.EXIT_CODE)),
        ({"code": 1, "hint": R.NETWORK}, {}, (K.TRANSIENT, R.NETWORK)),
        ({"code": 0, "hint": R.NETWORK}, {}, (K.SUCCEEDED, R.FINISHED)),
        ({"code": 0, "is_structured": True}, {}, (K.FAILED, R.AGENT_ERROR)),
        ({"code": 0, "is_structured": True}, {"ok": True}, (K.SUCCEEDED, R.FINISHED)),
        ({"code": 0, "is_structured": True}, {"ok": False}, (K.FAILED, R.AGENT_ERROR)),
        (
            {"code": 1, "is_structured": True},
            {"ok": False, "is_transient": True, "reason": R.RATE_LIMITED},
            (K.TRANSIENT, R.RATE_LIMITED),
        ),
        ({"code": 0}, {"is_transient": True, "reason": R.OVERLOADED}, (K.SUCCEEDED, R.FINISHED)),
        ({"code": 1}, {"is_transient": True, "reason": R.OVERLOADED}, (K.TRANSIENT, R.OVERLOADED)),
        ({"code": -9, "stop": "wall_time"}, {}, (K.TIMEOUT, R.WALL_TIME)),
        ({"code": 0, "stop": "wall_time"}, {"ok": False}, (K.TIMEOUT, R.WALL_TIME)),
        ({"code": 143, "stop": "wall_time"}, {"ok": True}, (K.SUCCEEDED, R.FINISHED)),
        ({"code": 143, "stop": "idle_time"}, {}, (K.TIMEOUT, R.IDLE_TIME)),
        ({"code": 143, "stop": "after_result"}, {"ok": True}, (K.SUCCEEDED, R.FINISHED)),
        ({"code": 143, "stop": "after_result"}, {"ok": False}, (K.FAILED, R.AGENT_ERROR)),
        ({"code": 0, "stop": "cancelled"}, {"ok": True}, (K.CANCELLED, R.CANCELLED_BY_ENGINE)),
        ({"code": 0, "stop": "shutdown"}, {"ok": True}, (K.CANCELLED, R.RUNNER_STOPPED)),
        ({"code": 143, "stop": "hopeless"}, {"error": "bad key"}, (K.FAILED, R.AGENT_ERROR)),
        ({"code": 1}, {"ok": False, "reason": R.BUDGET_SPENT}, (K.FAILED, R.BUDGET_SPENT)),
    ],
)
def test_why_we_stopped_outranks_what_it_said_and_that_its_exit_code(
    ending: dict[str, Any], said: dict[str, Any], expected: tuple[OutcomeKind, OutcomeReason]
) -> None:
    assert judged(ending, said) == expected


def result(**changes: Any) -> Result:
    return Result(**{"has_failed": False, "verdict": "", "summary": "s", "findings": (), **changes})


def test_an_agent_that_says_it_failed_has_failed_unless_it_gave_a_verdict() -> None:
    assert judged({"result": result(has_failed=True)}) == (K.FAILED, R.AGENT_ERROR)
    assert judged({"result": result(has_failed=True, verdict="FAIL")}) == (K.SUCCEEDED, R.FINISHED)


@pytest.mark.behaviour("SE-9")
def test_an_unreadable_result_is_told_and_gives_no_verdict() -> None:
    outcome = classify(Ending(code=0, result="the result file cannot be read"), Said())
    assert (outcome.kind, outcome.verdict, outcome.detail) == (K.SUCCEEDED, "", "the result file cannot be read")


GOOD = (
    f'{{"schema": "conveyor-result/1", "run_id": "{RUN}", "status": "succeeded", "verdict": "PASS", "findings": ["a"]}}'
)


@pytest.mark.behaviour("SE-9")
@pytest.mark.parametrize("wrapped", [GOOD, f"\ufeff{GOOD}", f"```json\n{GOOD}\n```\n", f"\n{GOOD}\nThat is all."])
def test_results_are_read_in_any_wrapping(wrapped: str) -> None:
    assert read_result(wrapped.encode(), RUN) == Result(has_failed=False, verdict="PASS", summary="", findings=("a",))


@pytest.mark.behaviour("SE-9")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"\xff", "UTF-8"),
        (b"Looks good: APPROVED", "cannot be read"),
        (GOOD.replace("conveyor-result/1", "other/1").encode(), "schema"),
        (GOOD.replace(RUN, "r2").encode(), "not of this one"),
        (GOOD.replace("succeeded", "fine").encode(), "status"),
        (GOOD.replace("PASS", "pass").encode(), "verdict"),
        (GOOD.replace('"verdict"', '"status": "failed", "verdict"').encode(), "twice"),
        (GOOD.replace('["a"]', "NaN").encode(), "NaN"),
        (GOOD.replace('["a"]', "[1]").encode(), "findings"),
        (GOOD.replace('"findings"', '"finding"').encode(), "finding"),
        (b" " * (MAX_BYTES + 1), "larger"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_results_that_hold_none_say_why(data: bytes, why: str) -> None:
    found = read_result(data, RUN)
    assert isinstance(found, str)
    assert why in found


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_whatever_are_an_error(data: bytes) -> None:
    assert isinstance(read_result(data, RUN), str | Result)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_prompt_that_tells_where_things_go(role: str) -> None:
    text = prompt_for(
        command(role=role, instructions="Answer: blue"), target_branch="main", description="Make it dark."
    )
    assert f".conveyor/result-{RUN}.json" in text
    assert "docs/tasks/SHOP-12/12-review.md" in text
    assert "Make it dark." in text
    assert "\nAnswer: blue\n" in text
    assert "{{" not in text


@pytest.mark.behaviour("RU-3")
def test_a_repositorys_own_prompt_replaces_the_roles_and_keeps_the_frame() -> None:
    text = prompt_for(command(role="poet"), target_branch="main", description="", override="Write of {{ title }}.")
    assert text.startswith("Write of Dark")
    assert f".conveyor/result-{RUN}.json" in text


def test_what_an_issue_says_is_never_taken_for_a_variable() -> None:
    text = prompt_for(command(title="{{ secret }}"), target_branch="main", description="{{ run_id }}")
    assert "{{ secret }}" in text
    assert "{{ run_id }}" in text


def test_unknown_variables_and_roles_are_refused_by_name() -> None:
    with pytest.raises(PermanentError, match=r"\.conveyor/prompts/reviewer\.md uses titel"):
        prompt_for(command(), target_branch="main", description="", override="{{ titel }}")
    with pytest.raises(PermanentError, match="no prompt for the role 'poet'"):
        prompt_for(command(role="poet"), target_branch="main", description="")
