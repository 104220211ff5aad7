"""The people of the demo in containers act on what the board shows, whenever they begin to look."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from typing import Any

import httpx
import pytest

from conveyor.cli.demo.narrator import Narrator
from conveyor.cli.demo.people import Board, Move, People, Places, next_move
from conveyor.cli.demo.story import ANSWER, TITLE, Deadline
from conveyor.cli.exits import StopError
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.simulator.gitea import GiteaServer
from conveyor.simulator.plane.server import PlaneOptions, PlaneServer

STARTED = frozenset({"To Analyse"})
QUESTIONS = "<p>Questions before the work can go on.</p>"
READY = "<p>The analysis is ready for your word: …</p>"


@pytest.mark.parametrize(
    ("board", "move"),
    [
        (Board(), Move.WRITE),
        (Board(key="SHOP-1", state="Todo"), Move.START),
        (Board(key="SHOP-1", state="Analysis", has_been=STARTED), Move.WAIT),
        (Board(key="SHOP-1", state="Needs Input", has_been=STARTED, comments=(QUESTIONS,)), Move.ANSWER),
        (Board(key="SHOP-1", state="Needs Input", has_been=STARTED, comments=(QUESTIONS, ANSWER)), Move.WAIT),
        (Board(key="SHOP-1", state="In Review", has_been=STARTED), Move.WAIT),
        (Board(key="SHOP-1", state="In Review", has_been=STARTED, comments=(READY,)), Move.APPROVE),
        (Board(key="SHOP-1", state="In Review", has_been=STARTED | {"Approved"}, comments=(READY,)), Move.WAIT),
        (Board(key="SHOP-1", state="Done", has_been=STARTED), Move.WAIT),
        (Board(key="SHOP-1", state="Done", has_been=STARTED, is_merged=True), Move.GO_HOME),
        (Board(key="SHOP-1", state="Blocked", has_been=STARTED), Move.COMPLAIN),
    ],
)
def test_people_make_the_move_that_the_board_asks_of_them(board: Board, move: Move) -> None:
    assert next_move(board) is move


async def test_they_begin_the_story_and_say_why_it_ends_badly(eventually: Callable[..., Awaitable[Any]]) -> None:
    """Against real HTTP: the issue is written once and started once, and a blocked task ends with its reason."""
    plane = PlaneServer(PlaneOptions(rate_limit=None))
    project = plane.create_project("Shop", "SHOP")
    async with plane, GiteaServer() as gitea, httpx.AsyncClient(trust_env=False) as client:
        gitea.create_user("acme")
        await gitea.create_repo("acme/shop")
        people = People(
            Places(
                plane=plane.url,
                workspace=plane.slug,
                project="SHOP",
                project_id=project.id,
                owner_key=plane.owner.api_key,
                gitea=gitea.url,
                repository="acme/shop",
                token=gitea.create_token("acme"),
            ),
            client,
            Narrator(as_json=True),
        )
        said = io.StringIO()
        with redirect_stdout(said):
            playing = asyncio.create_task(people.play(Deadline(SYSTEM_CLOCK.monotonic() + 20)))
            await eventually(lambda: plane.world.issues and plane.state_of("SHOP-1") == "To Analyse")
            plane.move_issue("SHOP-1", "Blocked")
            with pytest.raises(StopError, match="SHOP-1 is Blocked"):
                await playing
    assert [issue.name for issue in plane.world.issues.values()] == [TITLE]
    assert "To Analyse" in said.getvalue()
