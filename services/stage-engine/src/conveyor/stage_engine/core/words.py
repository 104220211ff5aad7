"""What Conveyor says to people on the issue and in chat: one place, short sentences."""

from conveyor.contracts.task import Task

CONFLICT_CHARS = 500
"""How much of a conflict or finding is repeated in a comment (SE-10)."""
NOT_ACCEPTED = "The last run was not accepted:"
"""Opens what a run is told about the fault of the one before."""
INSTRUCTION_CHARS = 4000
"""How much of it the next run is given; the task has to stay small."""


def clip(text: str, chars: int) -> str:
    """Return the text, cut with an ellipsis when it is longer than this many characters."""
    return text if len(text) <= chars else text[: chars - 1].rstrip() + "…"


def begun(branch: str) -> str:
    """The comment on a new task."""
    return f"Conveyor has taken this issue. Its branch is `{branch}`; the analyst begins."


def waits_for(keys: tuple[str, ...]) -> str:
    """The comment on a task that has to wait for others."""
    return f"Waits for {', '.join(keys)}."


def ask_approval(stage: str) -> str:
    """The comment that asks a person for a verdict."""
    return (
        f"The {stage} is ready for your word: set the status to Approved, or comment `:approved:` "
        "or `:rejected: reason`."
    )


def questions(text: str) -> str:
    """The comment that carries the agent's questions."""
    return f"Questions before the work can go on. Answer with a comment:\n\n{clip(text, INSTRUCTION_CHARS)}"


def gate_failed(stage: str, reason: str) -> str:
    """The comment on a gate that did not pass after a person or the forge moved."""
    return f"The gate of {stage} did not pass: {clip(reason, CONFLICT_CHARS)}"


def sent_back(stage: str, to: str, reason: str, used: int, cap: int) -> str:
    """The comment on a rollback."""
    return f"{stage} sends the task back to {to} ({used} of {cap}): {clip(reason, CONFLICT_CHARS)}"


def escalated(reason: str) -> str:
    """The comment and alert on a task that waits for an operator."""
    return f"Blocked: {clip(reason, CONFLICT_CHARS)} An operator can retry or cancel it."


def no_such_stage(pipeline: str, stage: str) -> str:
    """Why a task cannot go on after its pipeline was edited."""
    return f"pipeline {pipeline} has no stage {stage}: put it back and retry, or cancel the task"


def done(task: Task) -> str:
    """The comment on a finished task."""
    merged = f" Merged as {task.merge_sha[:12]}." if task.merge_sha else ""
    return f"Done.{merged}"
