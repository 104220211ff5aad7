"""The scripted agent stands for an agent's command line, on good days and bad."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PYTHON = {"PATH": "/usr/bin:/bin:/usr/local/bin"}
DOCS = "docs/tasks/DEMO-1"


class Agent:
    """Starts the scripted agent in a git work tree."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.script: dict[str, Any] = {}
        self.state: Path | None = tree.parent / "state"
        self.runs = 0

    def environment(self, role: str) -> dict[str, str]:
        self.runs += 1
        script = self.tree.parent / "script.json"
        script.write_text(json.dumps(self.script))
        state = {} if self.state is None else {"CONVEYOR_AGENT_STATE": str(self.state)}
        return PYTHON | {
            "CONVEYOR_ROLE": role,
            "CONVEYOR_TASK": "DEMO-1",
            "CONVEYOR_RUN_ID": f"run-{self.runs}",
            "CONVEYOR_STAGE": "some",
            "CONVEYOR_AGENT_SCRIPT": str(script),
            **state,
        }

    def run(self, role: str, *arguments: str, prompt: str = "do it") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "conveyor.simulator.agent", *arguments],
            cwd=self.tree,
            env=self.environment(role),
            input=prompt,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def start(self, role: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "conveyor.simulator.agent"],
            cwd=self.tree,
            env=self.environment(role),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        process.stdin.write(b"do it")
        process.stdin.close()
        return process

    def document(self, name: str) -> str:
        return (self.tree / DOCS / name).read_text()

    def result(self) -> dict[str, Any]:
        return json.loads((self.tree / f".conveyor/result-run-{self.runs}.json").read_text())


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    yield Agent(tree)
    for note in tree.glob(".conveyor/orphan-*.pid"):
        os.kill(int(note.read_text()), signal.SIGKILL)


def front_matter(text: str) -> dict[str, str]:
    head = text.split("---\n")[1]
    return dict(line.split(": ", 1) for line in head.splitlines())


@pytest.mark.parametrize(
    ("role", "name", "key", "word"),
    [
        ("analyst", "01-analysis.md", "status", "COMPLETE"),
        ("architect", "05-architecture.md", "status", "COMPLETE"),
        ("developer", "08-development.md", "status", "COMPLETE"),
        ("reviewer", "12-review.md", "verdict", "APPROVED"),
        ("tester", "13-test-report.md", "status", "PASS"),
        ("deployer", "14-deploy-log.md", "status", "SUCCESS"),
    ],
)
def test_every_role_leaves_its_document_and_result(agent: Agent, role: str, name: str, key: str, word: str) -> None:
    done = agent.run(role)
    assert done.returncode == 0, done.stderr
    assert front_matter(agent.document(name))[key] == word
    result = agent.result()
    assert (result["schema"], result["run_id"], result["status"]) == ("conveyor-result/1", "run-1", "succeeded")
    assert result["verdict"] == ("" if word == "COMPLETE" else word)


@pytest.mark.parametrize(
    ("role", "name", "key", "word"),
    [
        ("analyst", "02-questions.md", "status", "QUESTIONS"),
        ("architect", "10-conflict.md", "status", "CONFLICT"),
        ("reviewer", "12-review.md", "verdict", "REQUEST_CHANGES"),
        ("tester", "13-test-report.md", "status", "FAIL"),
        ("deployer", "14-deploy-log.md", "status", "FAILED"),
    ],
)
def test_every_role_says_no_in_its_way(agent: Agent, role: str, name: str, key: str, word: str) -> None:
    agent.script = {role: [{"do": "reject", "text": "not so", "findings": ["a", "b"]}]}
    assert agent.run(role).returncode == 0
    assert front_matter(agent.document(name))[key] == word
    assert "not so" in agent.document(name)
    said = "" if word in ("QUESTIONS", "CONFLICT") else word
    assert (agent.result()["verdict"], agent.result()["findings"]) == (said, ["a", "b"])


def test_the_developer_changes_the_source_in_every_run(agent: Agent) -> None:
    agent.run("developer")
    first = (agent.tree / "src/demo_1.py").read_text()
    agent.run("developer")
    assert (agent.tree / "src/demo_1.py").read_text().startswith(first)
    assert "run-2" in (agent.tree / "src/demo_1.py").read_text()
    agent.script = {"developer": [{"do": "succeed", "files": {"lib/a.py": "a = 1\n"}}]}
    agent.run("developer")
    assert (agent.tree / "lib/a.py").read_text() == "a = 1\n"


def test_behaviours_follow_one_another_and_the_last_repeats(agent: Agent) -> None:
    agent.script = {"roles": {"reviewer": ["reject", "fail", "succeed"]}}
    codes, verdicts = [], []
    for _ in range(4):
        codes.append(agent.run("reviewer").returncode)
        verdicts.append(front_matter(agent.document("12-review.md"))["verdict"])
    assert codes == [0, 1, 0, 0]
    assert verdicts == ["REQUEST_CHANGES", "REQUEST_CHANGES", "APPROVED", "APPROVED"]


def test_without_a_state_folder_runs_are_counted_in_the_history(agent: Agent) -> None:
    agent.state, agent.script = None, {"reviewer": ["reject", "succeed"]}
    who = ["git", "-c", "user.name=r", "-c", "user.email=r@example.test"]
    for verdict in ("REQUEST_CHANGES", "APPROVED"):
        agent.run("reviewer")
        assert front_matter(agent.document("12-review.md"))["verdict"] == verdict
        subprocess.run([*who, "add", "."], cwd=agent.tree, check=True)
        subprocess.run([*who, "commit", "-qm", "x"], cwd=agent.tree, check=True)


def test_a_tasks_own_behaviour_outranks_its_role(agent: Agent, tmp_path: Path) -> None:
    script = tmp_path / "own.toml"
    script.write_text('[roles]\ntester = "fail"\n[tasks.DEMO-1]\ntester = ["succeed"]\n')
    assert agent.run("tester", "--script", str(script)).returncode == 0


def test_the_analyst_asks_until_the_prompt_carries_an_answer(agent: Agent) -> None:
    agent.script = {"analyst": ["ask"]}
    agent.run("analyst", prompt="If unsure, ask; a person's answers will come with the next prompt.")
    assert (agent.tree / DOCS / "02-questions.md").exists()
    agent.run("analyst", prompt="# Task\n\n## Answer\nthe first one\n")
    assert not (agent.tree / DOCS / "02-questions.md").exists()
    assert front_matter(agent.document("01-analysis.md"))["status"] == "COMPLETE"


def test_stream_json_begins_with_init_and_ends_with_a_result_with_cost(agent: Agent) -> None:
    lines = [json.loads(line) for line in agent.run("reviewer", "--session-id", "s-1").stdout.splitlines()]
    assert (lines[0]["type"], lines[0]["subtype"]) == ("system", "init")
    assert {line["type"] for line in lines[1:-1]} == {"assistant"}
    assert {line["session_id"] for line in lines} == {"s-1"}
    last = lines[-1]
    assert (last["type"], last["is_error"], last["usage"]["output_tokens"]) == ("result", False, 100)
    assert last["total_cost_usd"] > 0


def test_plain_text_is_plain(agent: Agent) -> None:
    said = agent.run("reviewer", "--format", "text", "-p", "--permission-mode", "acceptEdits").stdout
    assert said.endswith("reviewer is done.\n")
    assert "{" not in said


def test_it_tells_its_version_at_once(agent: Agent) -> None:
    begun = time.monotonic()
    done = agent.run("reviewer", "--version")
    assert (done.returncode, done.stdout) == (0, "1.0.0 (Conveyor scripted agent)\n")
    assert time.monotonic() - begun < 2


def test_a_rate_limit_says_success_in_its_subtype_and_means_error(agent: Agent) -> None:
    agent.script = {"developer": [{"do": "rate_limit", "retry_after_s": 7, "resets_at": 1_800_000_000}]}
    done = agent.run("developer")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [line["type"] for line in lines] == ["system", "system", "rate_limit_event", "assistant", "result"]
    last = lines[-1]
    assert (last["subtype"], last["is_error"], last["api_error_status"]) == ("success", True, 429)
    assert "retry after 7 seconds" in last["result"]
    assert not (agent.tree / DOCS).exists()


def test_a_liar_claims_success_and_leaves_nothing(agent: Agent) -> None:
    agent.script = {"developer": ["lie"]}
    done = agent.run("developer")
    assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["is_error"]) == (0, False)
    assert [path.name for path in agent.tree.iterdir()] == [".git"]


def test_foreign_missing_and_broken_results(agent: Agent) -> None:
    agent.script = {"reviewer": ["foreign_result", "mute", "garble"]}
    agent.run("reviewer")
    assert agent.result()["run_id"] == "run-of-another"
    agent.run("reviewer")
    assert not (agent.tree / ".conveyor/result-run-2.json").exists()
    agent.run("reviewer")
    with pytest.raises(json.JSONDecodeError):
        agent.result()
    assert front_matter(agent.document("12-review.md"))["verdict"] == "certainly"


def test_babble_prints_noise_and_one_huge_line_and_still_works(agent: Agent) -> None:
    agent.script = {"tester": [{"do": "babble", "lines": 500, "line_bytes": 3_000_000}]}
    lines = agent.run("tester").stdout.splitlines()
    assert max(len(line) for line in lines) == 3_000_000
    assert len(lines) > 500
    assert agent.result()["verdict"] == "PASS"


def test_an_orphan_outlives_its_run_in_a_session_of_its_own(agent: Agent) -> None:
    agent.script = {"developer": [{"do": "orphan", "quiet": True}]}
    assert agent.run("developer").returncode == 0
    pid = int((agent.tree / ".conveyor/orphan-run-1.pid").read_text())
    assert os.getsid(pid) != os.getsid(0)
    assert b"CONVEYOR_RUN_ID=run-1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_a_hanging_agent_ends_on_the_first_signal(agent: Agent) -> None:
    agent.script = {"developer": ["hang"]}
    process = agent.start("developer")
    assert process.stdout is not None
    assert b'"init"' in process.stdout.readline()
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
    process.stdout.close()


async def test_a_stubborn_agent_ignores_all_but_kill(agent: Agent, eventually: Callable[..., Awaitable[Any]]) -> None:
    agent.script = {"developer": ["stubborn"]}
    process = agent.start("developer")
    assert process.stdout is not None
    process.stdout.readline()
    status = Path(f"/proc/{process.pid}/status")

    def ignoring() -> bool:
        mask = int(next(line for line in status.read_text().splitlines() if "SigIgn" in line).split()[1], 16)
        return all(mask >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))

    await eventually(ignoring)
    process.terminate()
    process.send_signal(signal.SIGINT)
    assert process.poll() is None
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    process.stdout.close()


def test_a_crash_ends_in_the_middle_of_a_line(agent: Agent) -> None:
    agent.script = {"developer": ["crash"]}
    done = agent.run("developer")
    assert done.returncode == -signal.SIGKILL
    assert not done.stdout.endswith("\n")


@pytest.mark.parametrize("script", [{"developer": ["dance"]}, {"developer": [{"how": 1}]}])
def test_a_script_that_cannot_be_used_is_exit_2_with_what_was_expected(agent: Agent, script: dict[str, Any]) -> None:
    agent.script = script
    done = agent.run("developer")
    assert done.returncode == 2
    assert "developer: " in done.stderr


def test_it_loads_the_standard_library_alone() -> None:
    code = (
        "import sys, conveyor.simulator.agent.__main__; print([m for m in sys.modules if m in ('starlette', 'httpx')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
