"""Every row of the behaviour table is proven or openly listed as not, and the report that says so can be trusted."""

from pathlib import Path

import pytest

from tests.architecture import behaviour_report, repository

TABLE = "## Door\n| id | behaviour |\n|---|---|\n| GW-1 | signed |\n| GW-2 | small |\n## Hands\n| SE-1 | pure |\n"


def built(root: Path, tests: str, still_open: str) -> behaviour_report.Report:
    """A small repository with the table above, one file of tests and this list of open rows."""
    for name, text in {
        "docs/behaviour.md": TABLE,
        "docs/behaviour-open.md": still_open,
        "tests/test_it.py": tests,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return behaviour_report.read(root)


def test_every_row_is_proven_or_listed_as_open() -> None:
    repository.none(behaviour_report.read().problems())


def test_a_mark_is_found_at_a_test_a_class_a_file_and_a_parameter(tmp_path: Path) -> None:
    marks = (
        'pytestmark = [pytest.mark.behaviour("GW-1")]\n'
        '@pytest.mark.behaviour("GW-1", "GW-2")\nasync def test_a(): ...\n'
        '@pytest.mark.behaviour("SE-1")\nclass TestB:\n'
        '  @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.behaviour("GW-2"))])\n'
        "  def test_c(self): ...\n"
    )
    assert built(tmp_path, marks, "").proofs == {
        "GW-1": ["tests/test_it.py", "tests/test_it.py::test_a"],
        "GW-2": ["tests/test_it.py::test_a", "tests/test_it.py::TestB::test_c"],
        "SE-1": ["tests/test_it.py::TestB"],
    }


def test_each_disagreement_is_a_problem(tmp_path: Path) -> None:
    marks = '@pytest.mark.behaviour("GW-1", "GW-99")\ndef test_a(): ...\n'
    report = built(tmp_path, marks, "## Later\n- GW-1 again\n- GW-77\n- GW-77\n")
    assert {problem.split(":")[0] for problem in report.problems()} == {"GW-1", "GW-2", "GW-77", "GW-99", "SE-1"}


def test_the_report_tells_proven_open_and_in_part_apart(tmp_path: Path) -> None:
    marks = '@pytest.mark.behaviour("GW-1", "GW-2")\ndef test_a(): ...\n'
    report = built(tmp_path, marks, "## Soon\n- GW-2: small (in part: the answer)\n## Later\n- SE-1: pure\n")
    text = "\n".join(behaviour_report.lines(report))
    assert not list(report.problems())
    assert "GW-1   proven\n         tests/test_it.py::test_a" in text
    assert "GW-2   open in part: the answer\n         tests/test_it.py::test_a" in text
    assert "SE-1   open: Later" in text
    assert text.endswith("Open: GW-2, SE-1\n1 of 3 rows proven, 1 in part, 1 not begun")


def test_a_row_in_part_needs_a_test(tmp_path: Path) -> None:
    report = built(tmp_path, "", "## Soon\n- GW-1: signed (in part: all)\n- GW-2\n- SE-1\n")
    assert [problem.split(":")[0] for problem in report.problems()] == ["GW-1"]


def test_a_row_is_struck_by_name_and_only_with_a_test(tmp_path: Path) -> None:
    """That a mark exists does not prove the whole row: whoever strikes it says so."""
    marks = '@pytest.mark.behaviour("GW-1", "SE-1")\ndef test_a(): ...\n'
    listed = "## Soon\n- GW-1: signed\n- GW-2: small\n## Later\n- SE-1: pure (in part: time)\n"
    report = built(tmp_path, marks, listed)
    with pytest.raises(ValueError, match="no test is marked with GW-2"):
        behaviour_report.strike(["GW-1", "GW-2"], report, tmp_path)
    behaviour_report.strike(["GW-1"], report, tmp_path)
    assert behaviour_report.read(tmp_path).due == {"GW-2": "Soon", "SE-1": "Later"}
    assert not list(behaviour_report.read(tmp_path).problems())
