"""What people write on an issue, and which of it is an order."""

import pytest

from conveyor.contracts import spoken
from conveyor.contracts.events import VerdictValue
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.project import Project


@pytest.mark.parametrize(
    ("description", "keys"),
    [
        ("", ()),
        ("Depends-on: ET-1", ("ET-1",)),
        ("Text.\ndepends on: ET-1, et-2; ET-1\nMore.\n  Depends-On :ET-3", ("ET-1", "ET-2", "ET-3")),
        ("It depends-on: ET-1 in a sentence", ()),
        ("Depends-on: nothing, really", ()),
        ("Depends-on: ET-1.", ()),
        ("Depends-on:", ()),
        ("Depends-on:\nET-1", ()),
    ],
)
def test_dependencies_are_read_from_lines_of_their_own(description: str, keys: tuple[str, ...]) -> None:
    assert spoken.dependencies(description) == keys


@pytest.mark.parametrize(
    ("comment", "verdict"),
    [
        (":approved:", (VerdictValue.APPROVED, "")),
        ("  :Approved: thanks", (VerdictValue.APPROVED, "thanks")),
        (":rejected: the tax\nis missing ", (VerdictValue.REJECTED, "the tax\nis missing")),
        ("please do not say :approved: yet", None),
        ("approved", None),
        ("> :approved:", None),
        ("", None),
    ],
)
def test_a_comment_is_a_verdict_only_when_it_opens_with_one(
    comment: str, verdict: tuple[VerdictValue, str] | None
) -> None:
    assert spoken.verdict(comment) == verdict


@pytest.mark.behaviour("SE-5")
@pytest.mark.parametrize(
    ("names", "starts"),
    [
        (("Backlog", "In Progress", "To Analyse"), "To Analyse"),
        (("in progress", "Done"), "in progress"),
        (("Backlog", "Done"), ""),
        ((), ""),
    ],
)
def test_a_task_starts_by_the_first_start_status_that_its_project_has(names: tuple[str, ...], starts: str) -> None:
    project = Project(name="shop", tracker_project_id="p", identifier="SHOP", repository="acme/shop")
    states = [TrackerState(state_id=name, name=name, group="started") for name in names]
    assert spoken.start_state_id(project, states) == starts
