"""Killed before or after any word with the bus, or cancelled with its lease: the next loses and doubles nothing."""

from typing import Any

import pytest
from msgspec import structs

from conveyor.contracts.commands import GateCause
from conveyor.contracts.events import AnyEvent, IssueStarted, Nudged
from conveyor.contracts.project import Project
from conveyor.contracts.task import GateWatch, Waiting
from conveyor.reconciler.handlers import Reconciler
from conveyor.reconciler.settings import ReconcilerSettings
from tests.unit.reconciler.fakes import Clock, Log, lost, world_of
from tests.unit.reconciler.worlds import in_sync

PASSES = 5


class Killed(BaseException):
    """The end of a process: nothing catches it."""


class Mortal(Log):
    """Kills whoever speaks to it for the nth time, before or after it has done what it was asked."""

    def __init__(self, tasks: list[Any], nth: int, *, is_after: bool) -> None:
        super().__init__(tasks)
        self._left = nth
        self._is_after = is_after
        self.has_killed = False

    def _strike(self, *, is_after: bool) -> None:
        if is_after is not self._is_after or self.has_killed:
            return
        self._left -= 1
        if not self._left:
            self.has_killed = True
            raise Killed

    async def get(self, key: str) -> Any:
        self._strike(is_after=False)
        found = await super().get(key)
        self._strike(is_after=True)
        return found

    async def put(self, key: str, value: bytes) -> None:
        self._strike(is_after=False)
        await super().put(key, value)
        self._strike(is_after=True)

    async def publish(self, event: AnyEvent) -> Any:
        self._strike(is_after=False)
        stored = await super().publish(event)
        if isinstance(event, IssueStarted):
            told = {"key": event.key, "title": event.title, "issue_id": event.issue_id}
            self.store(structs.replace(in_sync(1)[0][0], **told))
        self._strike(is_after=True)
        return stored


async def killed_once(project: Project, nth: int, *, is_after: bool) -> tuple[Mortal, list[str]]:
    """Make passes over two lost starts and a gate that stands still; whoever is killed is followed by another."""
    (task, *_), (issue, *_) = in_sync(1)
    gate = GateWatch(gate_id="g1", cause=GateCause.AGENT)
    stands = structs.replace(task, stage="testing", waiting=Waiting.GATE, gate=gate)
    bus, told = Mortal([stands], nth, is_after=is_after), list[str]()

    async def tell(text: str, _key: str, _level: Any = "") -> None:
        told.append(text)

    world = world_of(project, [issue, lost(8), lost(9)], bus, messengers=(tell,), clock=Clock())
    reconciler = Reconciler(world, ReconcilerSettings())
    for _ in range(PASSES):
        try:
            await reconciler.run_pass()
        except Killed:
            reconciler = Reconciler(world, ReconcilerSettings())
    return bus, told


@pytest.mark.behaviour("RC-1", "RC-6", "RC-7", "RC-9")
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
async def test_killed_at_any_word_with_the_bus_nothing_is_lost_and_nothing_is_doubled(
    is_after: bool, project: Project
) -> None:
    kills = 0
    for nth in range(1, 200):
        bus, told = await killed_once(project, nth, is_after=is_after)
        assert sorted(event.key for event in bus.published) == ["SHOP-1", "SHOP-8", "SHOP-9"], nth
        assert {type(event) for event in bus.published} == {IssueStarted, Nudged}
        starts = [one for one in told if "IssueStarted" in one]
        assert len(set(starts)) == len(starts), "nobody hears twice"
        kills += bus.has_killed
        if not bus.has_killed:
            break
    assert kills > 20
