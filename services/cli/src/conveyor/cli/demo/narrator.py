"""Tells the demo as it happens, one line each: a stopwatch, who or which stage, and what; JSON for machines."""

import sys
import textwrap

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from conveyor.contracts.events import Origin, RunFinished
from conveyor.contracts.transition import TaskRecord
from conveyor.servicekit.clock import SYSTEM_CLOCK

_WIDTH = 13
_NOTE_CHARS = 110
_STYLES = {"person": "bold yellow", "lost": "bold red", "repaired": "bold green", "stage": "default", "demo": "dim"}


class Line(Struct, frozen=True, kw_only=True):
    """One line of the timeline."""

    after_s: float
    kind: str
    """person, lost, repaired, stage or demo."""
    who: str
    text: str


class Narrator:
    """Prints lines; knows when the story began."""

    def __init__(self, *, as_json: bool) -> None:
        self._began_s = SYSTEM_CLOCK.monotonic()
        self._as_json = as_json
        self._console = Console(highlight=False, soft_wrap=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the story began."""
        return SYSTEM_CLOCK.monotonic() - self._began_s

    def demo(self, text: str) -> None:
        """Tell what the demo itself does."""
        self._tell("demo", "demo", text)

    def person(self, name: str, text: str) -> None:
        """Tell what a person does."""
        self._tell("person", name, text)

    def lost(self, text: str) -> None:
        """Tell what went missing."""
        self._tell("lost", "✗ webhook", text)

    def decided(self, record: TaskRecord) -> None:
        """Tell a transition by its notes; what the reconciler brought back is marked."""
        told = decided(record)
        if told:
            self._tell("repaired" if record.event.origin is Origin.RECONCILER else "stage", record.task.stage, told)

    def plain(self, text: str) -> None:
        """Print text as it is, outside the timeline; machines are spared it."""
        if not self._as_json:
            self._console.print(text, markup=False)

    def result(self, value: Struct) -> None:
        """Print the last object for machines."""
        if self._as_json:
            self._write(value)

    def _tell(self, kind: str, who: str, text: str) -> None:
        line = Line(after_s=round(self.elapsed_s, 3), kind=kind, who=who, text=text)
        if self._as_json:
            self._write(line)
            return
        self._console.print(rendered(line))

    def _write(self, value: Struct) -> None:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
        sys.stdout.flush()


def decided(record: TaskRecord) -> str:
    """Return a transition in one line; empty when it is not worth one."""
    mark = "✓ the reconciler found what the webhook lost: " if record.event.origin is Origin.RECONCILER else ""
    notes = [textwrap.shorten(note, _NOTE_CHARS, placeholder=" …") for note in record.notes]
    if isinstance(record.event, RunFinished) and notes and record.event.outcome.head:
        outcome = record.event.outcome
        pull = f", pull request #{outcome.pull_request}" if outcome.pull_request else ""
        notes[0] += f" (pushed {outcome.head[:7]}{pull})"
    return mark + "; ".join(notes) if notes else ""


def rendered(line: Line) -> Text:
    """Return a line for a terminal."""
    head = f"{line.after_s:6.2f} s  {line.who:<{_WIDTH}} "
    return Text(head, style="dim").append(line.text, style=f"not dim {_STYLES[line.kind]}")
