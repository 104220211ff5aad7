"""Which rows of docs/behaviour.md are proven, by which tests, and which are still open. `make behaviour` runs it.

A test names the row it serves by its mark, `@pytest.mark.behaviour("SE-3")`, read from the source without running
anything. A mark alone does not say that the whole row holds: a row stays in docs/behaviour-open.md, as
`- SE-3: twice is once (in part: <what is missing>)` once it has tests, until a person strikes it (`--strike SE-3`).
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path("docs/behaviour.md")
OPEN = Path("docs/behaviour-open.md")
TESTS = Path("tests")

_HEADING = re.compile(r"## (.+)")
_ROW = re.compile(r"\| ([A-Z]{2}-\d+) \|")
_OPEN_ROW = re.compile(r"- ([A-Z]{2}-\d+)\b")
_IN_PART = re.compile(r"- ([A-Z]{2}-\d+)\b.*\(in part: (.+)\)")


@dataclass(frozen=True)
class Report:
    """What the table, the list of open rows and the tests say of each row."""

    chapters: dict[str, list[str]]
    """Heading of the table -> its rows, in the order of the table."""
    proofs: dict[str, list[str]]
    """Row -> `file::test` of each test that claims to prove it."""
    due: dict[str, str]
    """Open row -> the milestone it comes with."""
    missing: dict[str, str]
    """Open row that has tests -> what they do not prove."""
    listed_twice: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[str]:
        return [row for rows in self.chapters.values() for row in rows]

    def problems(self) -> Iterator[str]:
        """Every disagreement between the three, in the words of the one who has to mend it."""
        yield from (f"{row}: stands twice in {TABLE} or {OPEN}" for row in self.listed_twice)
        for row in (row for row in self.proofs if row not in self.rows):
            yield f"{row}: unknown row, marked by {', '.join(self.proofs[row])}"
        for row in (row for row in self.due if row not in self.rows):
            yield f"{row}: listed in {OPEN}, but {TABLE} has no such row"
        for row in self.rows:
            if problem := self._disagreement(row):
                yield f"{row}: {problem}"

    def _disagreement(self, row: str) -> str:
        tests, is_open, in_part = self.proofs.get(row), row in self.due, row in self.missing
        if tests and is_open and not in_part:
            return f"{tests[0]} serves it, yet {OPEN} calls it open: strike it, or add (in part: <what is missing>)"
        if not tests and in_part:
            return f"{OPEN} says in part, but no test serves it"
        if not tests and not is_open:
            return f"no test proves it and {OPEN} does not list it"
        return ""


def read(root: Path = ROOT) -> Report:
    """Read the table, the list and the marks under this root."""
    chapters = _listed(root / TABLE, _ROW)
    due = _listed(root / OPEN, _OPEN_ROW)
    seen = [row for rows in chapters.values() for row in rows], [row for rows in due.values() for row in rows]
    return Report(
        chapters=chapters,
        proofs=_proofs(root),
        due={row: milestone for milestone, rows in due.items() for row in rows},
        missing=dict(_IN_PART.findall((root / OPEN).read_text(encoding="utf-8"))),
        listed_twice=sorted({row for rows in seen for row in rows if rows.count(row) > 1}),
    )


def _listed(path: Path, pattern: re.Pattern[str]) -> dict[str, list[str]]:
    """Heading -> ids listed below it; headings without ids are left out."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := _HEADING.match(line):
            heading = match.group(1)
        elif match := pattern.match(line):
            found.setdefault(heading, []).append(match.group(1))
    return found


def _proofs(root: Path) -> dict[str, list[str]]:
    proofs: dict[str, list[str]] = {}
    for path in sorted((root / TESTS).rglob("test_*.py")):
        place = path.relative_to(root).as_posix()
        for row, test in _marks(ast.parse(path.read_text(encoding="utf-8")), ""):
            claims = proofs.setdefault(row, [])
            claim = f"{place}::{test}" if test else place
            if claim not in claims:
                claims.append(claim)
    return proofs


def _marks(node: ast.AST, inside: str) -> Iterator[tuple[str, str]]:
    """Every row named by a mark, with the test (or class, or nothing for the file) it stands at."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        inside = f"{inside}::{node.name}" if inside else node.name
    if isinstance(node, ast.Call) and _is_mark(node.func):
        yield from ((str(ast.literal_eval(argument)), inside) for argument in node.args)
    for child in ast.iter_child_nodes(node):
        yield from _marks(child, inside)


def _is_mark(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "behaviour"
        and isinstance(function.value, ast.Attribute)
        and function.value.attr == "mark"
    )


def lines(report: Report) -> Iterator[str]:
    """The report as text."""
    for chapter, rows in report.chapters.items():
        yield chapter
        for row in rows:
            first, *more = [*_state(report, row), *report.proofs.get(row, [])]
            yield f"  {row:<6} {first}"
            yield from (f"         {line}" for line in more)
        yield ""
    still = [row for row in report.rows if row in report.due]
    yield f"Open: {', '.join(still) or 'none'}"
    counts = len(report.rows) - len(still), len(report.missing), len(still) - len(report.missing)
    yield "{} of {} rows proven, {} in part, {} not begun".format(counts[0], len(report.rows), *counts[1:])


def _state(report: Report, row: str) -> list[str]:
    if row in report.missing:
        return [f"open in part: {report.missing[row]}"]
    return [f"open: {report.due[row]}"] if row in report.due else ["proven"]


def strike(rows: list[str], report: Report, root: Path = ROOT) -> None:
    """Take rows off the list of open ones; ValueError when no test serves one of them."""
    unproven = [row for row in rows if row not in report.proofs]
    if unproven:
        raise ValueError(f"no test is marked with {', '.join(unproven)}")
    path = root / OPEN
    kept = [
        line
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if not ((match := _OPEN_ROW.match(line)) and match.group(1) in rows)
    ]
    path.write_text("".join(kept), encoding="utf-8")


def main() -> int:
    """Print the report; 1 when table, list and tests disagree."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--strike", nargs="+", default=[], metavar="ROW", help=f"rows to take off {OPEN}")
    report = read()
    if rows := options.parse_args().strike:
        strike(rows, report)
        report = read()
    sys.stdout.writelines(f"{line}\n" for line in lines(report))
    problems = list(report.problems())
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
