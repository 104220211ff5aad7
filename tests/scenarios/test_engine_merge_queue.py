"""The merge queue of a repository with several tasks in it at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from conveyor.contracts.merge_queue import positions
from conveyor.contracts.streams import LEASES
from conveyor.contracts.task import DONE, Waiting
from conveyor.servicekit.bus import Bucket, Bus, Lease, TaskStore
from conveyor.servicekit.nats_process import NatsProcess
from conveyor.stage_engine.effects.ownership import lease_name
from tests.rigs.house import REPO
from tests.rigs.stage import Stage, open_stage
from tests.rigs.stand_in_runner import Play

Eventually = Callable[..., Awaitable[Any]]
PIPELINE = """
name = "tested"
[[stages]]
name = "development"
role = "developer"
gate = ["has_changes", "ci_green"]
opens_pull_request = true
[[stages]]
name = "deploy"
role = "deployer"
status = "deploying"
entry = "merge"
gate = ["deploy_status"]
documents = ["14-deploy-log.md"]
verdicts = ["14-deploy-log.md"]
edges = [{ on = "merge", to = "development", cap = 3 }]
"""
GOOD, CONFLICT, RED, GOOD_TOO = (f"SHOP-{number}" for number in (1, 2, 3, 4))


@asynccontextmanager
async def held(bus: Bus) -> AsyncIterator[None]:
    """Somebody holds the repository: who is ready to merge queues up."""
    lease = Lease(Bucket(bus, LEASES), lease_name(REPO), "the test", ttl_s=60)
    assert await lease.acquire()
    yield
    await lease.release()


async def queue(stage: Stage) -> list[str]:
    """Who waits for the merge, first to last."""
    tasks = [found.record.task for found in await TaskStore(stage.house.bus).all()]
    places = positions(tasks, lambda _project: REPO)
    return [key for (_, key), _ in sorted(places.items(), key=lambda item: item[1])]


@pytest.mark.behaviour("SE-16")
@pytest.mark.parametrize("engines", [1, 2])
async def test_of_four_tasks_ready_at_once_the_good_ones_land_and_the_others_go_back_with_the_reason(
    bus: Bus, nats: NatsProcess, tmp_path: Path, eventually: Eventually, engines: int
) -> None:
    """One conflicts with what landed before it, one turns red once it stands on that."""
    async with open_stage(bus, nats.url, tmp_path, engines=engines, pipeline=PIPELINE, ci=True) as stage:
        house, gitea = stage.house, stage.house.gitea
        landing: set[str] = set()
        gitea.enable_ci(REPO, decide=lambda branch, _sha: "failure" if RED in branch and GOOD in landing else "success")
        codes = ({"a.py": "one"}, {"a.py": "two"}, {"c.py": "three"}, {"d.py": "four"})
        stage.runner.will("developer", *(Play(code=code) for code in codes))
        stage.runner.will("developer", *(Play(never_ends=True) for _ in range(2)))
        async with held(bus):
            ready: list[str] = []
            for key in (GOOD, CONFLICT, RED, GOOD_TOO):
                stage.begin(f"Task {key}")
                ready.append(key)
                await eventually(lambda ready=ready: _is(stage, ready))
            landing.add(GOOD)
        good = [await stage.reaches(DONE, key=key) for key in (GOOD, GOOD_TOO)]
        back = [await stage.reaches("development", Waiting.RUN, key) for key in (CONFLICT, RED)]
        assert [task.budget.rollbacks for task in back] == [{"development": 1}] * 2
        reasons = {run.key: run.instructions for run in stage.runner.taken[-4:] if run.role == "developer"}
        assert "conflicts with main" in reasons[CONFLICT]
        assert "is red: ci/test" in reasons[RED]
        assert any("is red: ci/test" in text for text in house.comments(RED))
        assert [pull.merged for pull in gitea.pulls(REPO)] == [True, False, False, True]
        subjects = await gitea.repo(REPO).git.git("log", "--merges", "--first-parent", "--format=%H", "main")
        assert subjects.split() == [task.merge_sha for task in reversed(good)], "in the order of the queue, each once"
        assert back[1].head == gitea.branch_sha(REPO, back[1].branch), "the commit brought up to date is known"


async def _is(stage: Stage, keys: list[str]) -> bool:
    return await queue(stage) == keys
