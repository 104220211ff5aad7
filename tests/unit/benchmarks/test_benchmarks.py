"""The benchmarks still run and still say what they promise; how fast anything is is no business of a test."""

import json
from datetime import UTC, datetime

import pytest

from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.task import DONE
from conveyor.stage_engine.core.decide import decide
from tests.benchmarks import p1, p2, p3, p4, p6, p7, p9
from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.figures import Figure, figure, percentile, say
from tests.benchmarks.history import good_day


def test_every_benchmark_of_the_promise_can_be_asked_for() -> None:
    assert set(BENCHMARKS) >= {"P1", "P2", "P3", "P4", "P6", "P7", "P9"}


def test_a_figure_is_one_line_of_json_with_five_fields(capsys: pytest.CaptureFixture[str]) -> None:
    say(figure("P3", 1234.56, "transitions/s", 4000))
    say(figure("P9.cpu", 1.23456, "%"))
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {"id": "P3", "value": 1235, "unit": "transitions/s", "anchor": 4000, "ratio": 0.309}
    assert second == {"id": "P9.cpu", "value": 1.235, "unit": "%", "anchor": None, "ratio": None}


def test_a_percentile_is_one_of_the_values() -> None:
    values = list(range(100, 0, -1))
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (50, 99, 7.0)


def test_on_a_good_day_every_event_changes_the_task_until_it_is_done() -> None:
    pipeline, task = default_pipeline(), None
    for event in good_day(pipeline, "bench", "BENCH-1", datetime(2026, 1, 5, 9, tzinfo=UTC)):
        transition = decide(pipeline, task, event)
        assert not transition.ignored
        task = transition.task
    assert task is not None
    assert task.stage == DONE


def assert_positive(figures: tuple[Figure, ...], *ids: str) -> None:
    assert tuple(found.id for found in figures) == ids
    assert all(found.value > 0 for found in figures)


async def test_p3_carries_tasks_through_a_real_engine_process() -> None:
    figures = await p3.measure(p3.Size(rounds=1, tasks=2, raw=128))
    assert_positive(figures, "P3", "P3.relayed", "P3.raw")


async def test_p7_hears_an_agent_out() -> None:
    figures = await p7.measure(p7.Size(rounds=1, megabytes=10))
    assert tuple(found.id for found in figures) == ("P7", "P7.growth", "P7.line", "P7.line.growth")
    assert all(found.value > 0 for found in figures if found.unit == "MB/s")


async def test_p1_counts_what_is_stored_beside_what_does_nothing() -> None:
    figures = await p1.measure(p1.Size(rounds=1, webhooks=50, warm_up=5, paced=50))
    assert_positive(figures, "P1", "P1.noop", "P1.p99")


async def test_p2_follows_a_webhook_through_real_processes() -> None:
    figures = await p2.measure(p2.Size(rounds=1, webhooks=2, warm_up=1))
    assert tuple(found.id for found in figures) == ("P2.p50", "P2.p99")


async def test_p9_looks_at_a_real_process_tree() -> None:
    figures = await p9.measure(p9.Size(rounds=1, settle_s=0, idle_s=0.5))
    assert tuple(found.id for found in figures) == ("P9.memory", "P9.cpu", "P9.cold_start")


async def test_p4_sweeps_few_and_many_issues() -> None:
    figures = await p4.measure(p4.Size(few=10, many=300, passes=2))
    assert_positive(figures, "P4.calls", "P4.time", "P4.memory")


async def test_p6_loses_webhooks_and_counts_calls() -> None:
    figures = await p6.measure(p6.Size(losses=1, grace_s=0.2, interval_s=0.1, projects=2, issues=2, passes=1))
    assert_positive(figures, "P6.delay", "P6.calls")
