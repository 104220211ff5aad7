"""One task's turn at the head of the merge queue: brought up to date, checked there, merged, or told why not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from conveyor.adapters.gitea import GiteaForge
from conveyor.contracts.commands import Merge
from conveyor.contracts.errors import PermanentError, TransientError
from conveyor.contracts.events import BranchPushed, IssueStarted, Origin
from conveyor.contracts.ids import digest
from conveyor.contracts.observed import CiState, CiStatus, MergeResult
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.project import Project
from conveyor.contracts.streams import EFFECTS
from conveyor.contracts.task import Task, Waiting
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.bus import Bucket, Bus, EventLog, TaskStore
from conveyor.servicekit.clock import SYSTEM_CLOCK
from conveyor.simulator.gitea import GiteaServer
from conveyor.stage_engine.effects.merging import MergeEffect, Yard
from conveyor.stage_engine.projects import Projects
from conveyor.stage_engine.settings import EngineSettings

Eventually = Callable[..., Awaitable[Any]]
AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
REPO, BRANCH = "acme/shop", "feature/SHOP-1-tea"
SHOP = Project(name="shop", tracker_project_id="p", identifier="SHOP", repository=REPO, ci=False)
COMMAND_ID = "shop-SHOP-1-5-1"
AWAITING = Task(
    project="shop",
    key="SHOP-1",
    issue_id="i",
    title="Tea",
    stage="deploy",
    created_at=AT,
    entered_at=AT,
    branch=BRANCH,
    waiting=Waiting.EFFECT,
    awaiting=COMMAND_ID,
)
STARTED = IssueStarted(
    event_id="e",
    project="shop",
    key="SHOP-1",
    at=AT,
    received_at=AT,
    source="plane",
    origin=Origin.WEBHOOK,
    trace_id="t",
    issue_id="i",
    title="Tea",
)


@dataclass
class Bench:
    """A branch with one commit and its pull request, a task that waits for its merge, and an engine's effect."""

    gitea: GiteaServer
    forge: GiteaForge
    bus: Bus
    command: Merge
    project: Project = SHOP

    def __post_init__(self) -> None:
        self.stopping = asyncio.Event()

    @property
    def pins(self) -> Bucket:
        return Bucket(self.bus, EFFECTS)

    async def merge(self, **settings: Any) -> dict[str, str] | None:
        projects = Projects((self.project,), {"default": default_pipeline()})
        engine = EngineSettings(**({"merge_deadline_s": 5.0, "merge_poll_s": 0.2} | settings))
        events, tasks = EventLog(self.bus), TaskStore(self.bus)
        yard = Yard(self.forge, SYSTEM_CLOCK, engine, events, tasks, self.pins, self.stopping)
        return await MergeEffect(projects, yard).merge(self.command, AWAITING)

    async def merges(self) -> int:
        return len((await self.gitea.repo(REPO).git.git("log", "--merges", "--format=%h", "main")).splitlines())

    async def heads_told(self) -> list[str]:
        history = await EventLog(self.bus).history("shop", "SHOP-1")
        return [event.sha for _, _, event in history if isinstance(event, BranchPushed)]

    async def cancel(self) -> None:
        """The task waits for this merge no longer."""
        tasks = TaskStore(self.bus)
        stored = await tasks.load("shop", "SHOP-1")
        assert stored is not None
        gone = structs.replace(AWAITING, revision=2, stage="cancelled", waiting=Waiting.NOTHING, awaiting="")
        await tasks.commit(TaskRecord(task=gone, event=STARTED), stored.seq)

    def head(self) -> str:
        return self.gitea.branch_sha(REPO, BRANCH) or ""

    async def with_pending_ci(self) -> str:
        """Main moves on and CI is needed: begin, and return the commit that CI has to judge."""
        self.project = structs.replace(SHOP, ci=True)
        await self.gitea.push(REPO, "main", {"coffee.py": "black"})
        return self.command.head


@pytest.fixture
async def bench(bus: Bus, tmp_path: Path) -> AsyncIterator[Bench]:
    async with GiteaServer(tmp_path / "gitea") as gitea:
        gitea.create_user("acme")
        gitea.create_user("ada")
        await gitea.create_repo(REPO)
        gitea.add_collaborator(REPO, "ada")
        head = await gitea.push(REPO, BRANCH, {"tea.py": "green"})
        number = (await gitea.open_pull(REPO, BRANCH)).number
        await TaskStore(bus).commit(TaskRecord(task=structs.replace(AWAITING, revision=1), event=STARTED), 0)
        forge = GiteaForge(gitea.url, gitea.create_token("acme"))
        command = Merge(
            command_id=COMMAND_ID,
            project="shop",
            key="SHOP-1",
            revision=5,
            trace_id="t",
            issued_at=AT,
            branch=BRANCH,
            pull_request=number,
            head=head,
        )
        yield Bench(gitea, forge, bus, command)
        await forge.close()


@pytest.mark.behaviour("SE-16")
async def test_a_merge_waits_for_the_forges_check_and_happens_once(bench: Bench) -> None:
    bench.gitea.timing.checking_s = 0.5
    first = await bench.merge()
    again = await bench.merge()
    assert first is not None
    assert again is not None
    assert first["merge_sha"] == again["merge_sha"] == bench.gitea.branch_sha(REPO, "main")
    assert await bench.merges() == 1
    assert bench.head() == bench.command.head, "a branch that holds the target stays as it is"


@pytest.mark.behaviour("SE-16")
@pytest.mark.parametrize("style", ["rebase", "merge"])
async def test_the_branch_is_brought_up_to_date_before_the_merge_and_its_new_head_is_told(
    bench: Bench, style: str
) -> None:
    bench.project = structs.replace(SHOP, merge_update=style)
    main = await bench.gitea.push(REPO, "main", {"coffee.py": "black"})
    done = await bench.merge()
    assert done is not None
    assert bench.head() != bench.command.head
    assert await bench.heads_told() == [bench.head()]
    repo = bench.gitea.repo(REPO).git
    assert await repo.merge_base(main, bench.head()) == main, "what was merged held the target"
    assert await bench.gitea.read_file(REPO, "main", "tea.py") == "green"
    assert await bench.merge() is not None
    assert await bench.heads_told() == [bench.head()]


@pytest.mark.behaviour("SE-16", "SE-17")
async def test_a_merge_that_lands_in_the_middle_of_a_look_is_no_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner lost the lease when it had asked for the merge already; this look began before the forge had it."""
    await bench.gitea.push(REPO, "main", {"coffee.py": "black"})
    update = bench.forge.update_branch

    async def too_late(*which: Any) -> bool:
        await bench.gitea.merge_pull(REPO, bench.command.pull_request)
        return await update(*which)

    monkeypatch.setattr(bench.forge, "update_branch", too_late)
    done = await bench.merge()
    assert done is not None
    assert done["merge_sha"] == bench.gitea.branch_sha(REPO, "main")
    assert await bench.merges() == 1


@pytest.mark.behaviour("SE-16")
async def test_checks_are_awaited_on_the_updated_commit(bench: Bench, eventually: Eventually) -> None:
    old = await bench.with_pending_ci()
    await bench.gitea.set_status(REPO, old, "ci/test", "success")
    merging = asyncio.ensure_future(bench.merge())
    await eventually(bench.heads_told)
    await bench.gitea.set_status(REPO, BRANCH, "ci/test", "pending")
    assert await bench.merges() == 0
    await bench.gitea.set_status(REPO, BRANCH, "ci/test", "success")
    assert await merging
    assert await bench.merges() == 1


@pytest.mark.behaviour("SE-16")
async def test_red_on_the_updated_commit_is_a_reason_and_no_merge(bench: Bench, eventually: Eventually) -> None:
    await bench.gitea.set_status(REPO, await bench.with_pending_ci(), "ci/test", "success")
    merging = asyncio.ensure_future(bench.merge())
    await eventually(bench.heads_told)
    await bench.gitea.set_status(REPO, BRANCH, "ci/test", "failure")
    with pytest.raises(PermanentError, match="which holds main, is red: ci/test"):
        await merging
    assert await bench.merges() == 0


@pytest.mark.behaviour("SE-16")
async def test_ci_that_never_speaks_is_a_reason_after_its_deadline(bench: Bench) -> None:
    await bench.with_pending_ci()
    with pytest.raises(PermanentError, match=r"CI of \w+ has not finished"):
        await bench.merge(merge_ci_deadline_s=0.5)
    assert await bench.merges() == 0


@pytest.mark.behaviour("SE-16")
async def test_a_target_that_moves_while_ci_runs_is_brought_in_again(bench: Bench, eventually: Eventually) -> None:
    await bench.with_pending_ci()
    merging = asyncio.ensure_future(bench.merge())
    first = (await eventually(bench.heads_told))[0]
    await bench.gitea.push(REPO, "main", {"milk.py": "oat"})
    await bench.gitea.set_status(REPO, first, "ci/test", "success")
    assert await eventually(lambda: bench.head() != first)
    await bench.gitea.set_status(REPO, BRANCH, "ci/test", "success")
    assert await merging
    assert await bench.heads_told() == [first, bench.head()]


@pytest.mark.behaviour("SE-16")
async def test_a_conflict_is_told_at_once(bench: Bench) -> None:
    await bench.gitea.push(REPO, "main", {"tea.py": "white"})
    async with asyncio.timeout(3):
        with pytest.raises(PermanentError, match="conflicts with main"):
            await bench.merge(merge_deadline_s=120.0)
    assert await bench.merges() == 0


@pytest.mark.behaviour("SE-16")
async def test_a_branch_that_brings_nothing_is_told_at_once(bench: Bench) -> None:
    await bench.gitea.push(REPO, "main", {"tea.py": "green"}, message="The same by another way")
    async with asyncio.timeout(5):
        with pytest.raises(PermanentError, match="holds nothing that main has not"):
            await bench.merge(merge_deadline_s=120.0)


@pytest.mark.behaviour("SE-16")
async def test_what_somebody_pushed_since_is_not_merged(bench: Bench) -> None:
    await bench.gitea.push(REPO, BRANCH, {"tea.py": "black"}, by="ada")
    with pytest.raises(PermanentError, match="no longer at"):
        await bench.merge()
    assert await bench.merges() == 0


@pytest.mark.behaviour("SE-16")
async def test_what_somebody_pushes_while_ci_runs_is_not_merged(bench: Bench, eventually: Eventually) -> None:
    await bench.with_pending_ci()
    merging = asyncio.ensure_future(bench.merge())
    await eventually(bench.heads_told)
    await bench.gitea.push(REPO, BRANCH, {"tea.py": "black"}, by="ada")
    await bench.gitea.set_status(REPO, BRANCH, "ci/test", "success")
    with pytest.raises(PermanentError, match="no longer at"):
        await merging


@pytest.mark.behaviour("SE-16")
@pytest.mark.parametrize("pushed", [False, True], ids=["nobody pushed", "somebody pushed"])
async def test_after_a_crash_within_the_update_only_our_own_is_taken_over(bench: Bench, *, pushed: bool) -> None:
    """The forge was asked, the engine died before it knew the answer: the commits tell whether anybody else pushed."""
    names = await bench.forge.commits_beyond(REPO, "main", bench.command.head)
    pin = {"head": bench.command.head, "says": [digest(name) for name in names or ()]}
    await bench.pins.put(f"merge.{COMMAND_ID}", msgspec.json.encode(pin))
    await bench.gitea.push(REPO, "main", {"coffee.py": "black"})
    await bench.gitea.update_pull(REPO, bench.command.pull_request, style="rebase")
    if pushed:
        await bench.gitea.push(REPO, BRANCH, {"tea.py": "black"}, by="ada")
        with pytest.raises(PermanentError, match="no longer at"):
            await bench.merge()
    else:
        assert await bench.merge()
    assert await bench.merges() == (0 if pushed else 1)


@pytest.mark.behaviour("SE-16")
async def test_a_pull_request_that_is_closed_or_unknown_is_a_reason(bench: Bench) -> None:
    await bench.gitea.checked(REPO, bench.command.pull_request)
    bench.gitea.close_pull(REPO, bench.command.pull_request)
    with pytest.raises(PermanentError, match="closed"):
        await bench.merge()
    bench.command = structs.replace(bench.command, pull_request=99)
    with pytest.raises(PermanentError, match="does not exist"):
        await bench.merge()


@pytest.mark.behaviour("SE-16", "SE-19")
async def test_a_task_that_is_cancelled_while_ci_runs_leaves_the_queue(bench: Bench, eventually: Eventually) -> None:
    await bench.with_pending_ci()
    merging = asyncio.ensure_future(bench.merge())
    await eventually(bench.heads_told)
    await bench.cancel()
    await bench.gitea.set_status(REPO, BRANCH, "ci/test", "success")
    assert await merging is None
    assert await bench.merges() == 0


@pytest.mark.behaviour("SE-16", "SE-19")
async def test_a_task_that_is_cancelled_while_a_look_is_under_way_is_not_merged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.project = structs.replace(SHOP, ci=True)

    async def green_as_it_is_cancelled(*_: object) -> CiStatus:
        await bench.cancel()
        return CiStatus(state=CiState.GREEN)

    async def nobody_wants_it(*_: object) -> MergeResult:
        pytest.fail("asked to merge what was cancelled")

    monkeypatch.setattr(bench.forge, "ci_status", green_as_it_is_cancelled)
    monkeypatch.setattr(bench.forge, "merge", nobody_wants_it)
    assert await bench.merge() is None


@pytest.mark.behaviour("SE-4")
async def test_an_engine_that_stops_does_not_wait_for_ci(bench: Bench, eventually: Eventually) -> None:
    await bench.with_pending_ci()
    merging = asyncio.ensure_future(bench.merge(merge_poll_s=60.0))
    await eventually(bench.heads_told)
    bench.stopping.set()
    with pytest.raises(TransientError, match="stops"):
        await merging
