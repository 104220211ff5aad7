"""A project's names become tokens of subjects, keys and addresses: what cannot be one is refused where it is read."""

from typing import Any

import msgspec
import pytest

from conveyor.contracts.project import Project

SHOP = {"name": "shop", "tracker_project_id": "p-1", "identifier": "SHOP", "repository": "acme/shop"}


@pytest.mark.parametrize(
    "fields", [{}, {"name": "a-1"}, {"name": "a" * 40}, {"identifier": "A_1"}, {"repository": "acme/shop.web"}]
)
def test_a_sound_project_is_read(fields: dict[str, Any]) -> None:
    assert msgspec.convert(SHOP | fields, Project)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", name) for name in ("Shop", "a.b", "", "a*", "shop\n", "a" * 41)),
        *(("identifier", prefix) for prefix in ("shop", "SHOP-1", "", "S.P", "SHOP\n")),
        *(("repository", name) for name in ("shop", "", "acme/", "a/b/c", "https://git/acme/shop")),
        ("tracker_project_id", ""),
        ("target_branch", ""),
        ("start_statuses", []),
        ("monitor_s", -1),
        ("day_budget_usd", -0.5),
    ],
)
def test_what_could_never_work_is_refused_by_its_path(field: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{field}"):
        msgspec.convert(SHOP | {field: value}, Project)
