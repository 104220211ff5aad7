"""A diagnosis as a terminal shows it: area by area, what to do below what is wrong. Pure."""

from collections.abc import Iterator
from itertools import groupby

from rich.text import Text

from conveyor.cli.doctor.finding import Diagnosis, Finding, Level

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red", Level.SKIPPED: "dim"}
_WIDTH = max(map(len, STYLES))


def lines(found: Diagnosis) -> Iterator[Text]:
    """Yield the lines, the counts last."""
    for area, findings in groupby(found.findings, key=lambda finding: finding.area):
        yield Text(area, style="bold")
        for finding in findings:
            yield from _of(finding)
    yield Text("")
    yield Text(
        f"{found.ok} ok, {found.warnings} warnings, {found.failed} failed, {found.skipped} skipped",
        style=STYLES[Level.FAILED if found.failed else Level.WARNING if found.warnings else Level.OK],
    )


def _of(finding: Finding) -> Iterator[Text]:
    about = f" ({finding.about})" if finding.about else ""
    yield Text.assemble(
        "  ", (f"{finding.level:<{_WIDTH}}", STYLES[finding.level]), f"  {finding.check}{about}: {finding.told}"
    )
    if finding.advice:
        yield Text(f"  {'':<{_WIDTH}}    → {finding.advice}", style="cyan")
