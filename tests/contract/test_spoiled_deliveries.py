"""Both parsers, and what the gateway makes of what they read, on captured deliveries that hypothesis spoiled."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from conveyor.contracts import codec, subjects
from conveyor.contracts.errors import MessageError
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.project import Project
from conveyor.gateway.app.gitea_source import told_by_gitea
from conveyor.gateway.app.plane_source import told_by_plane
from conveyor.gateway.core.admit import admit, at_sight
from conveyor.gateway.core.drafts import Draft
from conveyor.gateway.core.registry import Registry, Situation
from tests.contract.spoiled import Capture, captures, deliveries, spoiled_once

ONE_OF_A_KIND = (
    *("020-v1-patch-state", "032-v1-comment-create-human", "102-project-deleted"),
    *("push", "create", "delete", "pull_request-closed-merged", "pull_request_comment-created"),
    "pull_request_review_approved-reviewed",
)
READERS = {"plane": told_by_plane, "gitea": told_by_gitea}
REGISTRY = Registry([Project(name="shop", tracker_project_id="p1", identifier="SHOP", repository="acme/shop")])
MEANT = [one for one in captures() if one.name.rpartition("-")[0] in ONE_OF_A_KIND or one.name in ONE_OF_A_KIND]
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
STATES = (
    TrackerState(state_id="a97f7d10-0f89-4c4e-94a3-c8a1d02843ef", name="In Progress", group="started"),
    TrackerState(state_id="x", name="x", group="started"),
)


@pytest.mark.behaviour("GW-2")
@given(deliveries())
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_spoiled_delivery_is_refused_or_means_something_that_can_be_stored(capture: Capture) -> None:
    assert_sound(capture)


@pytest.mark.behaviour("GW-2")
@pytest.mark.parametrize("capture", MEANT, ids=lambda capture: capture.name)
def test_no_single_wrong_value_breaks_a_reader(capture: Capture) -> None:
    for spoiled in spoiled_once(capture):
        assert_sound(spoiled)


def assert_sound(capture: Capture) -> None:
    """It is refused, or it means something that can be stored, read again, and published."""
    try:
        told = READERS[capture.source](capture.headers, capture.body)
    except MessageError:
        return
    at_sight(told, REGISTRY, NOW)
    answer = admit(told, REGISTRY, Situation(received_at=NOW, delivery_id="d", own_id="somebody", states=STATES))
    if isinstance(answer, Draft):
        assert answer.event.received_at - answer.event.at != timedelta(days=1), "both times know their zone"
        assert codec.decode_event(codec.encode(answer.event)) == answer.event
        if answer.is_complete:
            assert subjects.event(answer.event).count(".") == 3


@pytest.mark.behaviour("GW-2")
@pytest.mark.parametrize("source", READERS)
def test_what_nests_without_end_is_refused(source: str) -> None:
    body = b'{"event": "issue", "action": "updated", "data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with pytest.raises(MessageError):
        READERS[source]({"X-Gitea-Event": "push"}, body)
