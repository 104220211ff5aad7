"""What a look at something found: how it is, in words, and what to do about it."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

from conveyor.contracts.errors import ConveyorError, TransientError

Area = Literal["configuration", "bus", "tracker", "forge", "webhooks", "clocks", "agents", "sandbox", "disk"]


class Level(StrEnum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, with a shortcoming that somebody should know."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be looked at; the text says why."""


class Finding(Struct, frozen=True, kw_only=True):
    """One check."""

    area: Area
    check: str
    """What was looked at, such as `api key`."""
    about: str = ""
    """Which one, where there are several: a project, a repository, an agent."""
    level: Level
    told: str
    advice: str = ""
    """What to do; empty where nothing is to be done."""


class Clipboard:
    """Collects the findings of one area, in the order in which they were made."""

    def __init__(self, area: Area, about: str = "", findings: list[Finding] | None = None) -> None:
        self._area: Area = area
        self._about = about
        self.findings: list[Finding] = [] if findings is None else findings

    def of(self, about: str) -> "Clipboard":
        """Return one for what is found of a single project, repository or agent; its findings stand here too."""
        return Clipboard(self._area, about, self.findings)

    def ok(self, check: str, told: str) -> None:
        """Note that something is as it should be."""
        self._note(check, Level.OK, told)

    def warning(self, check: str, told: str, advice: str) -> None:
        """Note a shortcoming."""
        self._note(check, Level.WARNING, told, advice)

    def failed(self, check: str, told: str, advice: str) -> None:
        """Note what does not work."""
        self._note(check, Level.FAILED, told, advice)

    def skipped(self, check: str, told: str, advice: str = "") -> None:
        """Note what could not be looked at."""
        self._note(check, Level.SKIPPED, told, advice)

    def trouble(self, check: str, error: ConveyorError, advice: str) -> None:
        """Note an error; a pause that the other side asked for proves nothing and is skipped."""
        if isinstance(error, TransientError) and error.retry_after_s is not None:
            self.skipped(check, str(error), f"ask again in {error.retry_after_s:.0f} s")
        else:
            self.failed(check, str(error), advice)

    def _note(self, check: str, level: Level, told: str, advice: str = "") -> None:
        self.findings.append(
            Finding(area=self._area, check=check, about=self._about, level=level, told=told, advice=advice)
        )


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What `conveyor doctor --json` prints."""

    ok: int
    warnings: int
    failed: int
    skipped: int
    findings: tuple[Finding, ...]


def diagnosis(findings: tuple[Finding, ...]) -> Diagnosis:
    """Return the findings, counted."""

    def count(level: Level) -> int:
        return sum(finding.level is level for finding in findings)

    return Diagnosis(
        ok=count(Level.OK),
        warnings=count(Level.WARNING),
        failed=count(Level.FAILED),
        skipped=count(Level.SKIPPED),
        findings=findings,
    )
