"""Places in the merge queue: by repository and not by project, first come, first served."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from conveyor.contracts.merge_queue import MERGING, positions
from conveyor.contracts.task import Task, Waiting

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
REPOSITORIES = {"shop": "acme/tea", "web": "Acme/Tea", "other": "acme/other"}


def waiting(project: str, key: str, minute: int) -> Task:
    return Task(
        project=project,
        key=key,
        issue_id="i",
        title="Tea",
        stage="deploy",
        created_at=AT,
        entered_at=AT,
        branch="b",
        waiting=Waiting.EFFECT,
        status=MERGING,
        since=AT + timedelta(minutes=minute),
    )


@pytest.mark.behaviour("SE-16")
def test_projects_on_one_repository_share_its_queue_and_others_have_their_own() -> None:
    tasks = [waiting("shop", "S-1", 3), waiting("web", "W-1", 1), waiting("shop", "S-2", 2), waiting("other", "O-1", 9)]
    assert positions(tasks, REPOSITORIES.__getitem__) == {
        ("web", "W-1"): 1,
        ("shop", "S-2"): 2,
        ("shop", "S-1"): 3,
        ("other", "O-1"): 1,
    }


@pytest.mark.behaviour("SE-16")
def test_who_waits_for_another_effect_has_no_place() -> None:
    watched = structs.replace(waiting("shop", "S-1", 1), status="monitoring")
    at_work = structs.replace(waiting("shop", "S-2", 1), waiting=Waiting.RUN)
    assert positions([watched, at_work], REPOSITORIES.__getitem__) == {}
