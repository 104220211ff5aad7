"""StartRun and an agent's configuration to the execution it asks for: no clock, no disk, no environment of its own."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from conveyor.contracts.commands import StartRun
from conveyor.runner.core.agent import Agent

INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
"""What every agent gets of the runner's environment: nothing of this is ours to hide."""
RUNNER_FOLDER = ".conveyor"
PROMPT_FILE = "{prompt_file}"


class Ground(Struct, frozen=True, kw_only=True):
    """What the shell knows and the plan needs: places and the environment it may choose from."""

    environment: Mapping[str, str]
    home: str
    scratch: str
    """A folder of this run alone, for temporary files."""
    author: tuple[str, str]
    """Name and address of commits the agent makes itself."""


class RunSpec(Struct, frozen=True, kw_only=True):
    """One execution of an agent; times in seconds."""

    argv: tuple[str, ...]
    prompt_file: str
    """Where the prompt has to lie besides standard input; empty: nowhere."""
    env: dict[str, str]
    output: str
    wall_s: float
    idle_s: float
    after_result_s: float
    stop_signals: tuple[str, ...]
    gentle_s: float
    term_s: float


def plan(command: StartRun, agent: Agent, ground: Ground) -> RunSpec:
    """Return the execution that this command asks for."""
    argv = (*agent.command, *_resumed(command, agent))
    prompt_file = f"{ground.scratch}/prompt.md" if any(PROMPT_FILE in argument for argument in argv) else ""
    return RunSpec(
        argv=tuple(argument.replace(PROMPT_FILE, prompt_file) for argument in argv),
        prompt_file=prompt_file,
        env={**_passed(agent, ground), **_places(ground), **agent.env, **_told(command)},
        output=agent.output,
        wall_s=float(agent.timeout_s or command.timeout_s),
        idle_s=agent.idle_s,
        after_result_s=agent.after_result_s,
        stop_signals=agent.stop_signals,
        gentle_s=agent.gentle_s,
        term_s=agent.term_s,
    )


def result_file(run_id: str) -> str:
    """Return where in the worktree the run leaves its result: inside it, since agents may not write elsewhere."""
    return f"{RUNNER_FOLDER}/result-{run_id}.json"


def docs_dir(command: StartRun) -> str:
    """Return the task's document folder in the repository."""
    return command.docs_dir or f"docs/tasks/{command.key}"


def with_conflicts(command: StartRun, target_branch: str, conflicts: tuple[str, ...]) -> StartRun:
    """Return the command with a word to the agent on what kept the target branch from being brought in."""
    if not conflicts:
        return command
    told = (
        f"Bringing `origin/{target_branch}` into this branch met conflicts in {', '.join(conflicts)}, so it was"
        " left out. Change this branch so that both sides' intentions hold in these files."
    )
    return replace(command, instructions=f"{command.instructions}\n\n{told}".strip())


def commit_message(command: StartRun) -> str:
    """Return the message of the commit that takes up what the agent left."""
    title = " ".join(command.title.split())
    return (
        f"{command.key} {command.role}: {title}\n\n"
        f"Task: {command.project}/{command.key}\nRole: {command.role}\nRun: {command.run_id}\n"
    )


def pull_request_text(command: StartRun) -> tuple[str, str]:
    """Return title and body of the task's pull request."""
    title = " ".join(command.title.split())
    return f"{command.key} {title}", f"Task {command.key}: {title}\n\nDocuments: `{docs_dir(command)}/`\n"


def _resumed(command: StartRun, agent: Agent) -> tuple[str, ...]:
    if not command.session_id:
        return ()
    return tuple(argument.replace("{session_id}", command.session_id) for argument in agent.resume)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of the runner's environment everything it starts may see."""
    return {name: environment[name] for name in INHERITED if name in environment}


def _passed(agent: Agent, ground: Ground) -> dict[str, str]:
    named = {name: ground.environment[name] for name in agent.pass_env if name in ground.environment}
    return {**inherited(ground.environment), **named}


def _places(ground: Ground) -> dict[str, str]:
    name, email = ground.author
    return {
        "HOME": ground.home,
        "TMPDIR": ground.scratch,
        "CLAUDE_CODE_TMPDIR": ground.scratch,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


def _told(command: StartRun) -> dict[str, str]:
    return {
        "CONVEYOR_ROLE": command.role,
        "CONVEYOR_TASK": command.key,
        "CONVEYOR_RUN_ID": command.run_id,
        "CONVEYOR_STAGE": command.stage,
        "CONVEYOR_ATTEMPT": str(command.attempt),
        "CONVEYOR_DOCS_DIR": docs_dir(command),
        "CONVEYOR_RESULT_FILE": result_file(command.run_id),
    }
