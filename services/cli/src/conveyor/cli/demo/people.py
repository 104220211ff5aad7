"""The people of the demo as a process of their own, for a demo that is spread over containers.

They look at the board as people do, and make the move that it asks of them; so they may be stopped and started again
at any time. `python -m conveyor.cli.demo.people --plane URL ...` ends with 0 once the task is done and merged.
"""

import argparse
import asyncio
import sys
from enum import Enum, auto
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

from conveyor.cli.demo.narrator import Narrator
from conveyor.cli.demo.story import ADA, ANSWER, TEXT, TITLE, Deadline
from conveyor.cli.exits import StopError
from conveyor.servicekit.clock import SYSTEM_CLOCK

_POLL_S = 0.3
_CALL_S = 10.0
_ENDS = frozenset({"Done", "Blocked", "Cancelled"})


class Board(Struct, frozen=True, kw_only=True):
    """What the issue's page and the forge show."""

    key: str = ""
    """Empty: nobody has written the issue yet."""
    issue_id: str = ""
    state: str = ""
    comments: tuple[str, ...] = ()
    """Their HTML."""
    has_been: frozenset[str] = frozenset()
    """Every state the issue was ever moved to."""
    is_merged: bool = False


class Move(Enum):
    """What it is the people's turn to do."""

    WAIT = auto()
    WRITE = auto()
    START = auto()
    ANSWER = auto()
    APPROVE = auto()
    GO_HOME = auto()
    COMPLAIN = auto()


def next_move(board: Board) -> Move:
    """Return what a person does who sees this."""
    if not board.key:
        return Move.WRITE
    if "To Analyse" not in board.has_been:
        return Move.START
    if board.state in _ENDS:
        return _at_the_end(board)
    if board.state == "Needs Input" and _says(board, "Questions before") and not _says(board, ANSWER):
        return Move.ANSWER
    is_asked = board.state == "In Review" and _says(board, "ready for your word")
    return Move.APPROVE if is_asked and "Approved" not in board.has_been else Move.WAIT


def _at_the_end(board: Board) -> Move:
    if board.state != "Done":
        return Move.COMPLAIN
    return Move.GO_HOME if board.is_merged else Move.WAIT


def _says(board: Board, words: str) -> bool:
    return any(words in comment for comment in board.comments)


class Places(Struct, frozen=True, kw_only=True):
    """Where the people look, and as whom."""

    plane: str
    workspace: str
    project: str
    """The project's identifier."""
    project_id: str
    owner_key: str
    gitea: str
    repository: str
    token: str


class People:
    """Look and move, again and again, until the task is done."""

    def __init__(self, places: Places, client: httpx.AsyncClient, narrator: Narrator) -> None:
        self._places = places
        self._client = client
        self._tell = narrator
        self._project = f"{places.plane}/api/v1/workspaces/{places.workspace}/projects/{places.project_id}/"

    async def play(self, deadline: Deadline) -> str:
        """Return the key of the task that is done; StopError when it is blocked or does not get done in time."""
        seen = Board()
        while not deadline.is_over:
            try:
                seen = await self._told(await self.look(), seen)
                move = next_move(seen)
                if move is Move.GO_HOME:
                    return seen.key
                await self._make(move, seen)
            except httpx.HTTPError as error:
                self._tell.demo(f"Plane or Gitea does not answer, looking again: {error!r}")
            await SYSTEM_CLOCK.sleep(_POLL_S)
        raise StopError(f"the demo waited in vain until the task is done; {seen.key or 'its issue'} is in {seen.state}")

    async def look(self) -> Board:
        """Return what is to be seen now; httpx.HTTPError when a server does not answer."""
        places = self._places
        issues = (await self._plane("work-items/?expand=state"))["results"]
        issue = next((one for one in issues if one["name"] == TITLE), None)
        if issue is None:
            return Board()
        comments = (await self._plane(f"work-items/{issue['id']}/comments/"))["results"]
        activities = (await self._plane(f"work-items/{issue['id']}/activities/"))["results"]
        pulls = await self._get(
            f"{places.gitea}/api/v1/repos/{places.repository}/pulls?state=all",
            {"Authorization": f"token {places.token}"},
        )
        return Board(
            key=f"{places.project}-{issue['sequence_id']}",
            issue_id=issue["id"],
            state=issue["state"]["name"],
            comments=tuple(one["comment_html"] for one in comments),
            has_been=frozenset(one["new_value"] for one in activities if one["field"] == "state"),
            is_merged=any(pull["merged"] for pull in pulls),
        )

    async def _told(self, now: Board, before: Board) -> Board:
        if now.state != before.state:
            self._tell.demo(f"the board shows {now.key} in {now.state}")
        return now

    async def _make(self, move: Move, board: Board) -> None:
        match move:
            case Move.WRITE:
                self._tell.person(ADA, f"writes “{TITLE}”")
                given = {"name": TITLE, "description_html": f"<p>{TEXT}</p>", "state": "Todo"}
                await self._do("create_issue", project=self._places.project, **given)
            case Move.START:
                self._tell.person(ADA, f"moves {board.key} to To Analyse")
                await self._do("move_issue", issue=board.key, state="To Analyse")
            case Move.ANSWER:
                self._tell.person(ADA, f"answers in a comment: “{ANSWER}”")
                await self._do("comment", issue=board.key, text=ANSWER)
            case Move.APPROVE:
                self._tell.person(ADA, "reads the analysis and sets the status to Approved; its webhook gets lost")
                await self._do("drop_next", count=1, match=f"issue updated state_id {board.key}")
                await self._do("move_issue", issue=board.key, state="Approved")
            case Move.COMPLAIN:
                raise StopError(f"{board.key} is {board.state}: {board.comments[0] if board.comments else ''}")
            case _:
                return

    async def _plane(self, path: str) -> Any:
        return await self._get(self._project + path, {"X-API-Key": self._places.owner_key})

    async def _get(self, url: str, headers: dict[str, str]) -> Any:
        answer = await self._client.get(url, headers=headers)
        answer.raise_for_status()
        return answer.json()

    async def _do(self, verb: str, **given: Any) -> None:
        answer = await self._client.post(f"{self._places.plane}/_sim/{verb}", json=given)
        answer.raise_for_status()


def main() -> None:
    """Play until the task is done; exit code 1 and a sentence when it does not get done."""
    chosen = _parser().parse_args()
    places = Places(
        plane=chosen.plane.rstrip("/"),
        workspace=chosen.workspace,
        project=chosen.project,
        project_id=chosen.project_id,
        owner_key=chosen.owner_key,
        gitea=chosen.gitea.rstrip("/"),
        repository=chosen.repository,
        token=chosen.token_file.read_text().strip(),
    )
    try:
        asyncio.run(_play(places, chosen.deadline_s, is_json=chosen.json))
    except StopError as error:
        sys.exit(f"people: {error}")


async def _play(places: Places, deadline_s: float, *, is_json: bool) -> None:
    narrator = Narrator(as_json=is_json)
    async with httpx.AsyncClient(timeout=_CALL_S, trust_env=False) as client:
        key = await People(places, client, narrator).play(Deadline(SYSTEM_CLOCK.monotonic() + deadline_s))
    narrator.demo(f"{key} is done and merged")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plane", required=True, help="URL of the simulated Plane")
    parser.add_argument("--workspace", default="acme")
    parser.add_argument("--project", default="SHOP", help="identifier of the project")
    parser.add_argument("--project-id", required=True)
    parser.add_argument("--owner-key", required=True, help="API key of the person who owns the workspace")
    parser.add_argument("--gitea", required=True, help="URL of the simulated Gitea")
    parser.add_argument("--repository", default="acme/shop")
    parser.add_argument("--token-file", type=Path, required=True, help="holds a token that may read the repository")
    parser.add_argument("--deadline-s", type=float, default=900.0, help="when to give up")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


if __name__ == "__main__":
    main()
