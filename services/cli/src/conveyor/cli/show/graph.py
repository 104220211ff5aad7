"""`conveyor pipeline graph`: a pipeline as text for a terminal, or as a mermaid diagram."""

from collections.abc import Iterator
from itertools import pairwise

from conveyor.contracts.pipeline import Pipeline, Stage


def as_text(pipeline: Pipeline) -> Iterator[str]:
    """Yield the pipeline line by line: each stage with its agent, its gate, and its ways back."""
    yield f"{pipeline.name}: created → {' → '.join(stage.name for stage in pipeline.stages)} → done"
    for stage in pipeline.stages:
        first = "merges the pull request first, then " if stage.entry else ""
        yield ""
        yield f"{stage.name}: {first}runs the {stage.role} ({pipeline.agent_of(stage)}), {stage.timeout_s} s at most"
        yield f"  gate      {', '.join(stage.gate)}"
        if stage.documents:
            yield f"  documents {', '.join(stage.documents)}"
        for edge in stage.edges:
            yield f"  back to   {edge.to} when {edge.on} says no, {edge.cap} times at most"
        yield f"  rejected  {_rejected_to(pipeline, stage)}"
        if stage.monitor_s:
            yield f"  monitor   {stage.monitor_s} s after the gate passed"


def as_mermaid(pipeline: Pipeline) -> Iterator[str]:
    """Yield the lines of a mermaid flowchart."""
    yield "flowchart LR"
    names = ["created", *(stage.name for stage in pipeline.stages), "done"]
    for before, after in pairwise(names):
        stage = pipeline.stage(before)
        label = f"|{' + '.join(stage.gate)}|" if stage else ""
        yield f"    {before} -->{label} {after}"
    for stage in pipeline.stages:
        for edge in stage.edges:
            yield f"    {stage.name} -.->|{edge.on}, {edge.cap} at most| {edge.to}"
        if (back := _rejected_to(pipeline, stage)) != stage.name:
            yield f"    {stage.name} -.->|rejected| {back}"


def _rejected_to(pipeline: Pipeline, stage: Stage) -> str:
    return stage.rejected_to or pipeline.before(stage.name).name
