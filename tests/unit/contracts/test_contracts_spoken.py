"""What people write on an issue, and which of it is an order."""

import pytest

from conveyor.contracts import spoken
from conveyor.contracts.events import VerdictValue


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
