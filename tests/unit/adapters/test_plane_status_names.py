import pytest

from conveyor.adapters.plane import STATUSES, is_terminal, key_of, own_state, resolve_state
from conveyor.contracts.observed import TrackerState
from conveyor.contracts.statuses import STATUS_KEYS

GROUPS = ("backlog", "unstarted", "started", "completed", "cancelled")


def states(*named: tuple[str, str], project: str = "p") -> tuple[TrackerState, ...]:
    return tuple(TrackerState(state_id=f"{project}-{name}", name=name, group=group) for name, group in named)


PLAIN = states(*zip(("Backlog", "Todo", "In Progress", "Done", "Cancelled"), GROUPS, strict=True))


@pytest.mark.behaviour("SE-13")
def test_the_table_has_every_key_and_no_other() -> None:
    assert sorted(STATUSES) == sorted(STATUS_KEYS)


@pytest.mark.behaviour("SE-13")
@pytest.mark.parametrize("key", [key for key in STATUS_KEYS if key not in ("approved", "rejected")])
def test_every_key_degrades_to_a_state_of_the_same_project(key: str) -> None:
    state = resolve_state(PLAIN, key)
    assert state in PLAIN
    renamed = states(*zip(("Neu", "Offen", "Läuft", "Fertig", "Weg"), GROUPS, strict=True))
    assert resolve_state(renamed, key) in renamed


@pytest.mark.behaviour("SE-13")
@pytest.mark.parametrize("key", ["approved", "rejected", "unheard_of"])
def test_no_other_state_stands_for_a_verdict(key: str) -> None:
    assert resolve_state(PLAIN, key) is None


@pytest.mark.behaviour("SE-13")
def test_the_own_state_is_preferred_to_any_base() -> None:
    board = (*PLAIN, *states(("code review", "started"), ("In Review", "started")))
    assert [resolve_state(board, key) for key in ("code_review", "in_review")] == list(board[5:])
    assert own_state(PLAIN, "code_review") is None


def test_asking_for_help_is_never_shown_as_work_in_progress() -> None:
    for key in ("needs_input", "blocked"):
        state = resolve_state(PLAIN, key)
        assert state is not None
        assert state.name == "Todo"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("To Analyse", "to_analyse"),
        ("to analyze", "to_analyse"),
        ("IN-PROGRESS", "in_progress"),
        ("Approved ", "approved"),
        ("Parking", ""),
    ],
)
def test_a_name_leads_to_its_key_whatever_its_spelling(name: str, key: str) -> None:
    assert key_of(name) == key


@pytest.mark.behaviour("SE-14")
def test_the_end_is_told_by_the_group_and_not_by_name_or_id() -> None:
    ended = states(("Shipped", "completed"), ("Dropped", "cancelled"))
    alive = states(("Done", "started"), ("Cancelled", "backlog"))
    assert [is_terminal(state) for state in (*ended, *alive)] == [True, True, False, False]
