"""What one run of the scripted agent was asked to do: read from the environment, the prompt and the script."""

import dataclasses
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ANSWER = re.compile(
    r"^\W*(the |a )?((human|person|user|people)('s|s)? )?answers?\b.*[:\n]", re.IGNORECASE | re.MULTILINE
)
DOCUMENTS: dict[str, tuple[str, ...]] = {
    "analyst": ("01-analysis.md", "02-questions.md"),
    "architect": ("05-architecture.md", "10-conflict.md"),
    "developer": ("08-development.md",),
    "reviewer": ("12-review.md",),
    "tester": ("13-test-report.md",),
    "deployer": ("14-deploy-log.md",),
}


class ScriptError(Exception):
    """The script cannot be used; the text says what was expected where."""


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """One thing to do, by name, with its options."""

    name: str
    options: Mapping[str, Any]

    def text(self, key: str, default: str = "") -> str:
        """An option that is a text."""
        return str(self.options.get(key, default))

    def number(self, key: str, default: float) -> float:
        """An option that is a number."""
        return float(self.options.get(key, default))


@dataclasses.dataclass(frozen=True)
class Order:
    """Everything one run knows. Paths are below `cwd`, the work tree."""

    role: str
    task_key: str
    run_id: str
    stage: str
    attempt: int
    docs_dir: Path
    result_file: Path
    script_file: Path | None
    state_dir: Path | None
    prompt: str
    cwd: Path

    @property
    def answered(self) -> bool:
        """Whether the prompt carries an answer: a line or heading that begins with that word."""
        return ANSWER.search(self.prompt + "\n") is not None


def read_order(environment: Mapping[str, str], prompt: str, cwd: Path) -> Order:
    """Read the order from CONVEYOR_* variables; what is missing gets a default that works in any folder."""
    get = environment.get
    task_key = get("CONVEYOR_TASK") or "TASK"
    run_id = get("CONVEYOR_RUN_ID") or "run"
    attempt = get("CONVEYOR_ATTEMPT") or "1"
    script, state = get("CONVEYOR_AGENT_SCRIPT"), get("CONVEYOR_AGENT_STATE")
    return Order(
        role=get("CONVEYOR_ROLE") or "developer",
        task_key=task_key,
        run_id=run_id,
        stage=get("CONVEYOR_STAGE") or "",
        attempt=int(attempt) if attempt.isdigit() else 1,
        docs_dir=cwd / (get("CONVEYOR_DOCS_DIR") or f"docs/tasks/{task_key}"),
        result_file=cwd / (get("CONVEYOR_RESULT_FILE") or f".conveyor/result-{run_id}.json"),
        script_file=Path(script) if script else None,
        state_dir=Path(state) if state else None,
        prompt=prompt,
        cwd=cwd,
    )


def choose_behaviour(order: Order) -> Behaviour:
    """Return what the script wants of this run; `succeed` without a script or for a role it does not name.

    A script is TOML or JSON: role -> list of behaviours, one a run, the last repeating; `tasks.KEY.role` outranks it.
    A behaviour is a name or a table with `do` and options. Raises ScriptError for a script that cannot be used.
    """
    wanted = _wanted(_load(order.script_file), order)
    if not wanted:
        return Behaviour("succeed", {})
    chosen = wanted[min(_count_run(order), len(wanted)) - 1]
    if isinstance(chosen, str):
        return Behaviour(chosen, {})
    if isinstance(chosen, dict) and isinstance(chosen.get("do"), str):
        return Behaviour(chosen["do"], chosen)
    raise ScriptError(f"{order.role}: a behaviour is a name or a table with `do`, not {chosen!r}")


def _load(script_file: Path | None) -> dict[str, Any]:
    if script_file is None:
        return {}
    try:
        text = script_file.read_text()
        if script_file.suffix == ".json":
            loaded: Any = json.loads(text)
        else:
            import tomllib  # noqa: PLC0415 - costs start-up time that most runs need not pay

            loaded = tomllib.loads(text)
    except (OSError, ValueError) as failure:
        raise ScriptError(f"{script_file}: {failure}") from failure
    if not isinstance(loaded, dict):
        raise ScriptError(f"{script_file}: a table of roles is expected")
    return loaded


def _wanted(script: dict[str, Any], order: Order) -> list[Any]:
    own = script.get("tasks", {}).get(order.task_key, {})
    wanted = own.get(order.role, script.get("roles", script).get(order.role, []))
    return [wanted] if isinstance(wanted, str | dict) else list(wanted)


def _count_run(order: Order) -> int:
    """Return the how-manieth run of this role for this task this is, counting from 1."""
    if order.state_dir is not None:
        order.state_dir.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{order.task_key}-{order.role}")
        counter = order.state_dir / f"{name}.runs"
        # Appending is atomic for a line this short, so two runs at once never share a number.
        with counter.open("a") as runs:
            runs.write(f"{order.run_id}\n")
        return len(counter.read_text().splitlines())
    return max(_commits(order) + 1, order.attempt)


def _commits(order: Order) -> int:
    """Count the commits that hold this role's documents: one for each run that left something."""
    documents = [str(order.docs_dir / name) for name in DOCUMENTS.get(order.role, ())]
    command = ["git", "log", "--format=%H", "--", *documents]
    done = subprocess.run(command, cwd=order.cwd, capture_output=True, text=True, check=False)
    return len(done.stdout.split()) if done.returncode == 0 else 0


def real_environment() -> Mapping[str, str]:
    """Return the process's environment: the agent is a program of its own and learns its run from there."""
    return os.environ  # noqa: TID251 - the stand-in is a separate program whose only order is its environment
