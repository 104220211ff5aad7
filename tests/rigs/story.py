"""What became of a task, told without times and commits, so that two runs of the same work can be compared."""

import json
from typing import Any

import msgspec
from msgspec import Struct

from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.task import Task
from conveyor.servicekit.bus import EventLog, StoredRevision
from tests.rigs.house import REPO, House, steady

_CHANGING = ("_at", "since", "cursor", "not_before", "head", "merge_sha", "sha", "issue_id", "pull_request")


class Story(Struct, frozen=True):
    """One task's end, how it came there, and what the world outside shows of it."""

    task: Any
    revisions: list[Any]
    events: list[str]
    commands: list[str]
    comments: list[str]
    status: str
    pulls: list[bool]
    commits_on_main: int


async def story_of(house: House, key: str) -> Story:
    """Read it from the bus and both servers."""
    task = await house.task(key)
    assert task is not None
    branch = task.branch
    pulls = [pull for pull in house.gitea.pulls(REPO) if pull.head == branch]
    history = await EventLog(house.bus).history(house.project.name, key)
    (merged,) = (pull.merged for pull in pulls) if pulls else (False,)
    return Story(
        task=_unkeyed(key, _task(task)),
        revisions=_unkeyed(key, [_revision(one) for one in await house.revisions(key)]),
        events=[type(event).__name__ for _, _, event in history],
        commands=_unkeyed(key, sorted(_command(one) for one in await house.commands(key))),
        comments=_unkeyed(key, house.comments(key)),
        status=house.status(key),
        pulls=[pull.merged for pull in pulls],
        commits_on_main=await _commits_of(house, branch) if merged else 0,
    )


async def _commits_of(house: House, branch: str) -> int:
    """How many merges of this branch the target branch holds."""
    log = await house.gitea.repo(REPO).git.git("log", "--merges", "--format=%s", "main")
    return sum(branch in subject for subject in log.splitlines())


def _task(task: Task) -> Any:
    return _steady(msgspec.to_builtins(task))


def _revision(stored: StoredRevision) -> list[Any]:
    record = stored.record
    commands = [_command(one) for one in record.commands]
    notes = [steady(note) for note in record.notes]
    move = f"{record.from_stage} → {record.task.stage}, waits for {record.task.waiting or 'nothing'}"
    return [type(record.event).__name__, move, notes, commands]


def _command(command: AnyCommand) -> str:
    return f"{type(command).__name__} {command.command_id}"


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _steady(one) for name, one in value.items() if not name.endswith(_CHANGING)}
    return steady(value) if isinstance(value, str) else value


def _unkeyed(key: str, value: Any) -> Any:
    return json.loads(json.dumps(value).replace(key, "KEY"))
