"""One fact has one name, whichever way it came; two facts have two."""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from conveyor.contracts import facts_ids

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
RECIPES = [
    recipe
    for name, recipe in vars(facts_ids).items()
    if inspect.isfunction(recipe) and recipe.__module__ == facts_ids.__name__
]
VALUES: dict[object, tuple[object, object]] = {
    str: ("one", "other"),
    int: (1, 2),
    datetime: (AT, AT + timedelta(seconds=1)),
    tuple[str, str, str]: (("a", "b", "c"), ("a", "b", "d")),
}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.__name__)
def test_a_fact_is_named_by_all_that_makes_it_that_fact(recipe: Callable[..., str]) -> None:
    """Another value in any one part is another fact."""
    kinds = [part.annotation for part in inspect.signature(recipe).parameters.values()]
    usual = [VALUES[kind][0] for kind in kinds]
    others = [[*usual[:place], VALUES[kind][1], *usual[place + 1 :]] for place, kind in enumerate(kinds)]
    names = [recipe(*parts) for parts in (usual, *others)]
    assert len(set(names)) == len(names)
    assert recipe(*usual) == names[0]


def test_two_recipes_never_give_one_name() -> None:
    names = [
        recipe(*(VALUES[part.annotation][0] for part in inspect.signature(recipe).parameters.values()))
        for recipe in RECIPES
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("before", ["", "0" * 40, "0" * 64])
def test_a_new_branch_has_one_name_however_the_forge_spells_nothing(before: str) -> None:
    assert facts_ids.branch_pushed("a/b", "main", before, "c1") == facts_ids.branch_pushed("a/b", "main", "", "c1")
