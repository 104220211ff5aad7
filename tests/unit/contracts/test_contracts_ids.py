"""Ids derive from content: the same thing has one name, two things have two."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.contracts import ids

AT = datetime(2026, 3, 1, 9, 30, 0, 5, tzinfo=UTC)
PARTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=10), max_size=5)


@given(PARTS, PARTS)
def test_a_digest_is_equal_exactly_when_its_parts_are(one: list[str], other: list[str]) -> None:
    """No joining character can be smuggled in: ("ab", "c") is not ("a", "bc")."""
    assert (ids.digest(*one) == ids.digest(*other)) == (one == other)


def test_a_digest_is_the_same_in_every_process_and_release() -> None:
    """It is written into streams: changing the recipe would make every old fact new."""
    assert ids.digest("plane", "größer", "") == "8abd01c8b058121867bf91dc4d652b54"
    assert ids.event_id("plane", "i1", "state", "s1", AT) == "05550bed869a440edea352caafa057c5"
    assert ids.event_id("plane", "i1", "state", "s1", None) == "29fc3afbf5cf98ba359c0fcd11a55552"


def test_an_event_id_does_not_depend_on_the_zone_of_its_time() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=-8)))
    assert ids.event_id("plane", "i1", "state", "s1", AT) == ids.event_id("plane", "i1", "state", "s1", elsewhere)


def test_an_event_id_differs_in_each_of_its_parts() -> None:
    names = {
        ids.event_id("plane", "i1", "state", "s1", AT),
        ids.event_id("gitea", "i1", "state", "s1", AT),
        ids.event_id("plane", "i2", "state", "s1", AT),
        ids.event_id("plane", "i1", "title", "s1", AT),
        ids.event_id("plane", "i1", "state", "s2", AT),
        ids.event_id("plane", "i1", "state", "s1", AT + timedelta(microseconds=1)),
        ids.event_id("plane", "i1", "state", "s1", None),
    }
    assert len(names) == 7


def test_commands_and_runs_are_named_by_the_transition_that_ordered_them() -> None:
    assert ids.command_id("shop", "SHOP-12", 7, 0) == "shop-SHOP-12-7-0"
    assert ids.run_id("shop", "SHOP-12", 7) == "shop-SHOP-12-r7"


@given(st.integers(1, 999), st.integers(0, 99), st.integers(1, 999), st.integers(0, 99))
def test_no_two_commands_of_a_task_share_an_id(one: int, first: int, other: int, second: int) -> None:
    same = ids.command_id("shop", "SHOP-1", one, first) == ids.command_id("shop", "SHOP-1", other, second)
    assert same == ((one, first) == (other, second))


@pytest.mark.parametrize("key", ["SHOP-12", "A-1", "A_B2-999999999"])
def test_a_tracker_key_is_known(key: str) -> None:
    assert ids.is_key(key)


@pytest.mark.parametrize(
    "key", ["", "SHOP", "shop-12", "SHOP-0", "SHOP-012", "SHOP-12 ", "SHOP.12-1", "SHOP-12\n", "*-1"]
)
def test_what_is_no_tracker_key_is_refused(key: str) -> None:
    """A key becomes a token of subjects: a dot or a star in it would address other tasks."""
    assert not ids.is_key(key)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Gift cards", "gift-cards"),
        ("  Fix: the /login page!! ", "fix-the-login-page"),
        ("Größe ändern", "gre-ndern"),
        ("支払い", "task"),
        ("", "task"),
        ("x" * 60, "x" * 40),
        ("a" * 39 + " b", "a" * 39),
    ],
)
def test_a_title_becomes_the_tail_of_a_branch(title: str, slug: str) -> None:
    assert ids.slug(title) == slug


@given(st.text(max_size=80))
def test_any_title_makes_a_branch_that_git_takes_and_that_names_its_task(title: str) -> None:
    branch = ids.branch_name("SHOP-12", title)
    assert branch.isascii()
    assert not {".", " ", "~", "^", ":", "\\", "*", "?", "[", "@"} & set(branch)
    assert not branch.endswith(("-", "/"))
    assert ids.key_of_branch(branch) == "SHOP-12"
    assert ids.key_of_branch(f"refs/heads/{branch}") == "SHOP-12"


@pytest.mark.parametrize(
    "branch", ["main", "feature/gift-cards", "feature/SHOP-12x", "hotfix/SHOP-12-a", "x/feature/SHOP-1", ""]
)
def test_a_branch_that_is_not_ours_names_no_task(branch: str) -> None:
    assert ids.key_of_branch(branch) == ""
