"""What the forge and the effect workers tell: commits, CI, reviews, pull requests, merges, dependencies."""

from conveyor.contracts.events import (
    BranchPushed,
    CommitStatusChanged,
    DependencyChanged,
    EffectFinished,
    PullRequestAction,
    PullRequestChanged,
    ReviewSubmitted,
    ReviewValue,
)
from conveyor.contracts.pipeline import MERGE, Edge, Pipeline, Stage
from conveyor.contracts.task import CREATED, Task, Waiting
from conveyor.contracts.transition import Transition
from conveyor.stage_engine.core import gates, moves, words
from conveyor.stage_engine.core.draft import Draft, ignore


def push(pipeline: Pipeline, task: Task, event: BranchPushed) -> Transition:
    """Somebody else pushed the task's branch: its head is another, what was said of the old one is void."""
    if event.branch != task.branch:
        return ignore(task, f"not the task's branch: {event.branch}")
    return _new_head(pipeline, task, event, event.sha)


def _new_head(pipeline: Pipeline, task: Task, event: BranchPushed | PullRequestChanged, sha: str) -> Transition:
    if not sha or sha == task.head:
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    draft.change(head=sha, facts={})
    draft.note(f"the branch is at {sha[:12]}")
    gates.look(draft)
    return draft.finish()


def status(pipeline: Pipeline, task: Task, event: CommitStatusChanged) -> Transition:
    """CI spoke: look at the gate when the task waits for it; the gate reads all contexts itself."""
    return _fact(pipeline, task, event, event.context, event.state)


def _fact(
    pipeline: Pipeline, task: Task, event: CommitStatusChanged | ReviewSubmitted, name: str, value: str
) -> Transition:
    sha = event.sha if isinstance(event, CommitStatusChanged) else event.head_sha
    if sha and sha != task.head:
        return ignore(task, f"about another commit: {sha[:12]}")
    if gates.watches(task) is None:
        return ignore(task, f"no gate waits for it; the task waits for {task.waiting or 'nothing'}")
    if task.facts.get(name) == value:
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    draft.change(facts={**task.facts, name: value})
    draft.note(f"{name} is {value}")
    gates.look(draft)
    return draft.finish()


def review(pipeline: Pipeline, task: Task, event: ReviewSubmitted) -> Transition:
    """A person's review: an approval lets the gate look again, a request for changes goes back to development."""
    who = event.actor.name or event.actor.actor_id if event.actor else "somebody"
    if event.review is not ReviewValue.REJECTED:
        return _fact(pipeline, task, event, f"review/{who}", event.review)
    target = next((stage for stage in pipeline.stages if stage.opens_pull_request), None)
    refused = _no_rework(pipeline, task, event, target)
    if refused or target is None:
        return ignore(task, refused)
    draft = Draft(pipeline, task, event)
    edge = Edge(on="review_approved", to=target.name, cap=pipeline.rework_cap)
    moves.roll_back(draft, edge, f"{who} asks for changes on the pull request: {event.text or 'see the pull request'}")
    return draft.finish()


def _no_rework(pipeline: Pipeline, task: Task, event: ReviewSubmitted, target: Stage | None) -> str:
    if task.merge_sha:
        return "the pull request is merged"
    if event.head_sha and event.head_sha != task.head:
        return f"about another commit: {event.head_sha[:12]}"
    if target is None or pipeline.index(task.stage) < pipeline.index(target.name):
        return f"the task is not in review: {task.stage}"
    if task.is_escalated:
        return "escalated: a person has to act"
    if task.stage == target.name and task.waiting is not Waiting.FACTS:
        return "the developer is already at work"
    return ""


def pull_request(pipeline: Pipeline, task: Task, event: PullRequestChanged) -> Transition:
    """The task's pull request changed on the forge."""
    if task.pull_request not in (0, event.number):
        return ignore(task, f"not the task's pull request: {event.number}")
    match event.action:
        case PullRequestAction.SYNCHRONIZED:
            return _new_head(pipeline, task, event, event.head_sha)
        case PullRequestAction.MERGED:
            return _merged(pipeline, task, event)
        case PullRequestAction.CLOSED:
            return _closed(pipeline, task, event)
        case PullRequestAction.OPENED | PullRequestAction.REOPENED:
            if task.pull_request:
                return ignore(task, "already known")
            draft = Draft(pipeline, task, event)
            draft.change(pull_request=event.number)
            draft.note(f"pull request {event.number}")
            return draft.finish()


def _merged(pipeline: Pipeline, task: Task, event: PullRequestChanged) -> Transition:
    if task.merge_sha:
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    draft.change(merge_sha=event.merge_sha or event.head_sha, pull_request=event.number)
    draft.note(f"merged as {draft.task.merge_sha[:12]}")
    entry = next((stage for stage in pipeline.stages if stage.entry == MERGE), None)
    if task.waiting is not Waiting.EFFECT and entry is not None:
        moves.enter(draft, entry)
    return draft.finish()


def _closed(pipeline: Pipeline, task: Task, event: PullRequestChanged) -> Transition:
    if task.merge_sha or task.is_escalated or not task.pull_request:
        return ignore(task, "nothing depends on the pull request now")
    draft = Draft(pipeline, task, event)
    moves.escalate(draft, f"pull request {event.number} was closed without a merge.")
    return draft.finish()


def effect(pipeline: Pipeline, task: Task, event: EffectFinished) -> Transition:
    """An effect the task waits for is done, or cannot be."""
    if task.waiting is not Waiting.EFFECT or task.awaiting != event.command_id:
        return ignore(task, f"nobody waits for {event.command_id}")
    draft = Draft(pipeline, task, event)
    draft.note(
        f"{event.effect} {'done' if event.succeeded else 'failed'}" + (f": {event.reason}" if event.reason else "")
    )
    draft.change(awaiting="")
    if event.effect == MERGE:
        _after_merge(draft, event)
    elif event.succeeded:
        moves.advance(draft)
    else:
        moves.escalate(draft, f"{event.effect} failed: {event.reason}")
    return draft.finish()


def _after_merge(draft: Draft, event: EffectFinished) -> None:
    edge = next((edge for edge in draft.stage.edges if edge.on == MERGE), None)
    if event.succeeded:
        draft.change(merge_sha=draft.task.merge_sha or event.result.get("merge_sha", "") or draft.task.head)
        moves.show(draft, draft.stage.status or draft.stage.name)
        moves.start_run(draft, attempt=1)
    elif edge is None:
        moves.escalate(draft, f"the merge failed: {event.reason}")
    else:
        moves.roll_back(draft, edge, f"the merge failed: {event.reason}")


def dependencies(pipeline: Pipeline, task: Task, event: DependencyChanged) -> Transition:
    """What the task depends on was looked at: wait, go on, or stop because it goes in a circle (SE-15)."""
    if event.depends_on != task.depends_on:
        return ignore(task, "the task depends on others by now")
    if event.cycle:
        return _circle(pipeline, task, event)
    waits = task.waiting is Waiting.DEPENDENCY or (task.waiting is Waiting.PERSON and task.escalation == _CIRCLE)
    if event.open_keys == task.open_dependencies and not (waits and not event.open_keys):
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    draft.change(open_dependencies=event.open_keys)
    draft.note(f"open dependencies: {', '.join(event.open_keys) or 'none'}")
    if waits:
        _resume(draft)
    return draft.finish()


_CIRCLE = "its dependencies go in a circle"


def _circle(pipeline: Pipeline, task: Task, event: DependencyChanged) -> Transition:
    if task.escalation == _CIRCLE:
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    moves.escalate(draft, f"its dependencies go in a circle: {' → '.join(event.cycle)}.")
    draft.change(escalation=_CIRCLE, open_dependencies=event.open_keys)
    return draft.finish()


def _resume(draft: Draft) -> None:
    draft.change(escalation="")
    if draft.task.open_dependencies:
        draft.change(waiting=Waiting.DEPENDENCY)
        moves.comment(draft, words.waits_for(draft.task.open_dependencies))
    elif draft.task.stage == CREATED:
        moves.enter(draft, draft.pipeline.stages[0])
    else:
        moves.start_run(draft, attempt=1)
