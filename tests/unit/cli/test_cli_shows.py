"""What the command line shows is pure: tables, timelines and graphs from tasks and events."""

import io
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest
from rich.console import Console

from conveyor.cli.show import ages, graph, status, timeline
from conveyor.cli.show.happened import happened
from conveyor.cli.show.header import header
from conveyor.cli.show.ordered import ordered
from conveyor.cli.show.terminal import terminal
from conveyor.contracts.commands import AnyCommand
from conveyor.contracts.events import (
    Actor,
    AnyEvent,
    CommentAdded,
    IssueStarted,
    OperatorActed,
    OperatorAction,
    Origin,
    Role,
    RunFinished,
)
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.task import Task
from conveyor.contracts.transition import TaskRecord
from conveyor.stage_engine.core.decide import decide
from tests.contract.golden_messages import sample

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def carried(number: int, who: Actor | None = None) -> dict[str, object]:
    return {
        "event_id": f"e{number}",
        "project": "shop",
        "key": "SHOP-1",
        "at": AT + timedelta(seconds=number),
        "received_at": AT + timedelta(seconds=number),
        "source": "plane",
        "origin": Origin.WEBHOOK,
        "trace_id": "t",
        "actor": who,
    }


def grown(*events: AnyEvent) -> tuple[list[tuple[int, datetime, AnyEvent]], list[TaskRecord]]:
    """The events with sequences 1, 2, … and the records that the engine would have made of them."""
    task: Task | None = None
    records: list[TaskRecord] = []
    stored = [(seq, event.at, event) for seq, event in enumerate(events, 1)]
    for seq, _, event in stored:
        made = decide(default_pipeline(), task, event)
        if made.ignored or made.task is None:
            continue
        task = msgspec.structs.replace(made.task, cursor=seq)
        records.append(TaskRecord(task=task, event=event, commands=made.commands, notes=made.notes))
    return stored, records


STARTED = IssueStarted(issue_id="i", title="Greet people", **carried(1, Actor(actor_id="u", name="Ada")))
SMALL_TALK = CommentAdded(comment_id="c", text="nice", **carried(2, Actor(actor_id="u", name="Ada", role=Role.MEMBER)))
FINISHED = RunFinished(
    run_id="shop-SHOP-1-r1",
    outcome=Outcome(kind=OutcomeKind.SUCCEEDED, reason=OutcomeReason.FINISHED, head="0123456789abcdef"),
    **carried(3),
)


def explain(task: Task | None, event: AnyEvent) -> str:
    return decide(default_pipeline(), task, event).ignored


@pytest.mark.parametrize("kind", get_args(AnyEvent), ids=lambda kind: kind.__name__)
def test_every_event_is_told_in_one_line(kind: type) -> None:
    told = happened(sample(kind))
    assert told
    assert "\n" not in told
    assert kind.__name__ not in told


@pytest.mark.parametrize("kind", get_args(AnyCommand), ids=lambda kind: kind.__name__)
def test_every_command_is_told_in_one_line(kind: type) -> None:
    told = ordered(sample(kind))
    assert told
    assert "\n" not in told


def test_the_timeline_links_event_decision_command_and_outcome() -> None:
    entries = timeline.entries(*grown(STARTED, SMALL_TALK, FINISHED), explain)
    started, talk, finished = entries
    assert "created → analysis" in started.notes
    (run,) = (one for one in started.commands if one.text.startswith("start run"))
    assert run.answered_by == finished.seq == 3
    assert talk.ignored == "changed nothing: no question is open"
    assert finished.revision == 2
    text = "\n".join(line.plain for line in timeline.lines(entries))
    assert "▸ start run shop-SHOP-1-r1 (analyst)  → #3" in text
    assert "changed nothing: no question is open" in text


def test_an_event_that_the_engine_has_not_seen_is_told_as_such() -> None:
    events, records = grown(STARTED, FINISHED)
    entries = timeline.entries(events, records[:1], explain)
    assert entries[-1].ignored == timeline.UNDECIDED


def test_a_record_outlives_the_event_that_caused_it() -> None:
    """EVENTS keeps 90 days, TASKS keeps everything."""
    events, records = grown(STARTED, FINISHED)
    entries = timeline.entries(events[1:], records, explain)
    assert [entry.seq for entry in entries] == [1, 2]


def test_status_counts_queue_and_ended_tasks() -> None:
    _, records = grown(STARTED)
    _, ended = grown(STARTED, OperatorActed(action=OperatorAction.CANCEL, **carried(5)))
    tasks = [records[-1].task, msgspec.structs.replace(ended[-1].task, key="SHOP-2")]
    seen = status.overview(tasks, ("runner-1",), with_ended=False)
    assert [row.key for row in seen.tasks] == ["SHOP-1"]
    assert (seen.queued_runs, seen.running, seen.cancelled) == (1, 0, 1)
    assert "1 queued, 0 running" in status.footer(seen, with_ended=False)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(status.table(seen, AT + timedelta(seconds=61)))
    shown = console.export_text()
    assert "SHOP-1" in shown
    assert "analyst queued" in shown
    assert "1 min" in shown


@pytest.mark.behaviour("SE-16")
def test_status_shows_the_place_in_the_merge_queue() -> None:
    _, records = grown(STARTED)
    task = records[-1].task
    seen = status.overview([task], (), with_ended=False, places={(task.project, task.key): 2})
    assert (seen.tasks[0].merge_place, seen.tasks[0].waiting) == (2, "merge (place 2)")


def test_the_header_leaves_out_what_is_empty() -> None:
    _, records = grown(STARTED)
    fields = dict(header(records[-1].task, AT + timedelta(hours=2)))
    assert fields["waits for"].startswith("run, since 1 h 59 min")
    assert "pull request" not in fields
    assert "blocked" not in fields


def test_the_graph_shows_every_stage_gate_and_way_back() -> None:
    pipeline = default_pipeline()
    text = "\n".join(graph.as_text(pipeline))
    mermaid = "\n".join(graph.as_mermaid(pipeline))
    for stage in pipeline.stages:
        assert f"{stage.name}: " in text
        for edge in stage.edges:
            assert f"{stage.name} -.->|{edge.on}, {edge.cap} at most| {edge.to}" in mermaid
    assert mermaid.startswith("flowchart LR")


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_061, "1 d 1 h")]
)
def test_a_span_is_told_in_its_two_largest_units(seconds: int, told: str) -> None:
    assert ages.duration(timedelta(seconds=seconds)) == told


@pytest.mark.behaviour("OP-2")
def test_what_people_wrote_is_shown_as_it_is() -> None:
    """One issue with a bracket in its title must not keep everybody from seeing where things stand."""
    titles = ("[/b] closes nothing", "[bug] is no style", ":bug: is no picture")
    tasks = [msgspec.structs.replace(sample(Task), key=f"SHOP-{at}", title=told) for at, told in enumerate(titles, 1)]
    screen = terminal()
    screen.file, screen.width = io.StringIO(), 200
    screen.print(status.table(status.overview(tasks, [], with_ended=True), AT))
    for title in titles:
        assert title in screen.file.getvalue()
