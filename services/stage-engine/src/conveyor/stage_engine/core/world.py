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
    """Somebody else pushed the task's branch: its head is another, what was said of the old one is void.

    The commit is the branch's present one, read again from the forge, so that an old delivery cannot turn it back.
    """
    if event.branch != task.branch:
        return ignore(task, f"not the task's branch: {event.branch}")
    return _new_head(pipeline, task, event, event.sha)


def _new_head(pipeline: Pipeline, task: Task, event: BranchPushed | PullRequestChanged, sha: str) -> Transition:
    if not sha or sha == task.head:
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    draft.change(head=sha, facts={}, facts_at={})
    draft.note(f"the branch is at {sha[:12]}")
    gates.look(draft, keeps_approval=bool(task.last_human_at and event.at <= task.last_human_at))
    return draft.finish()


def status(pipeline: Pipeline, task: Task, event: CommitStatusChanged) -> Transition:
    """CI spoke: look at the gate when the task waits for it; the gate reads all contexts itself."""
    return _fact(pipeline, task, event, event.context, event.state)


def _fact(
    pipeline: Pipeline, task: Task, event: CommitStatusChanged | ReviewSubmitted, name: str, value: str
) -> Transition:
    refused = _no_news(task, event, name, value)
    if not refused and gates.watches(task) is None:
        refused = f"no gate waits for it; the task waits for {task.waiting or 'nothing'}"
    if refused:
        return ignore(task, refused)
    draft = Draft(pipeline, task, event)
    _know(draft, name, value)
    draft.note(f"{name} is {value}")
    gates.look(draft)
    return draft.finish()


def _no_news(task: Task, event: CommitStatusChanged | ReviewSubmitted, name: str, value: str) -> str:
    sha = event.sha if isinstance(event, CommitStatusChanged) else event.head_sha
    if not sha:
        return "it names no commit"  # it would be news again at every new head
    if sha != task.head:
        return f"about another commit: {sha[:12]}"
    if task.facts.get(name) == value:
        return "already known"
    if name in task.facts_at and event.at < task.facts_at[name]:
        return "older than what is known"
    return ""


def _know(draft: Draft, name: str, value: str) -> None:
    task = draft.task
    draft.change(facts={**task.facts, name: value}, facts_at={**task.facts_at, name: draft.event.at})


def review(pipeline: Pipeline, task: Task, event: ReviewSubmitted) -> Transition:
    """A person's review: an approval lets the gate look again, a request for changes goes back to development."""
    who = event.actor.name or event.actor.actor_id if event.actor else "somebody"
    name = f"review/{who}"
    if event.review is ReviewValue.COMMENTED:
        return ignore(task, "a comment is no verdict")
    if event.review is ReviewValue.APPROVED:
        return _fact(pipeline, task, event, name, event.review)
    target = next((stage for stage in pipeline.stages if stage.opens_pull_request), None)
    refused = _no_news(task, event, name, event.review) or _no_rework(pipeline, task, target)
    if refused or target is None:
        return ignore(task, refused)
    draft = Draft(pipeline, task, event)
    _know(draft, name, event.review)
    edge = Edge(on="review_approved", to=target.name, cap=pipeline.rework_cap)
    moves.roll_back(draft, edge, f"{who} asks for changes on the pull request: {event.text or 'see the pull request'}")
    return draft.finish()


_AT_WORK = frozenset({Waiting.RUN, Waiting.RETRY, Waiting.DEPENDENCY})


def _no_rework(pipeline: Pipeline, task: Task, target: Stage | None) -> str:
    if task.merge_sha:
        return "the pull request is merged"
    if target is None or pipeline.index(task.stage) < pipeline.index(target.name):
        return f"the task is not in review: {task.stage}"
    if task.is_escalated:
        return "escalated: a person has to act"
    if task.stage == target.name and task.waiting in _AT_WORK:
        return "the developer is already at work"
    return ""


def pull_request(pipeline: Pipeline, task: Task, event: PullRequestChanged) -> Transition:
    """The task's pull request changed on the forge; of several for its branch the youngest counts."""
    if event.number < task.pull_request:
        return ignore(task, f"not the task's pull request: {event.number}")
    match event.action:
        case PullRequestAction.SYNCHRONIZED:
            return _new_head(pipeline, task, event, event.head_sha)
        case PullRequestAction.MERGED:
            return _merged(pipeline, task, event)
        case PullRequestAction.CLOSED:
            return _closed(pipeline, task, event)
        case PullRequestAction.OPENED | PullRequestAction.REOPENED:
            if task.merge_sha or task.pull_request == event.number:
                return ignore(task, "already known")
            draft = Draft(pipeline, task, event)
            draft.change(pull_request=event.number)
            draft.note(f"pull request {event.number}")
            gates.look(draft)
            return draft.finish()


def _merged(pipeline: Pipeline, task: Task, event: PullRequestChanged) -> Transition:
    if task.merge_sha:
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    draft.change(pull_request=event.number)
    _take_merge(draft, event.merge_sha or event.head_sha)
    return draft.finish()


def _take_merge(draft: Draft, merge_sha: str) -> None:
    """It is merged, by whomever: go on behind the merge, unless our own merge is under way and will report."""
    draft.change(merge_sha=merge_sha or draft.task.head or "unknown")
    draft.note(f"merged as {draft.task.merge_sha[:12]}")
    entry = next((stage for stage in draft.pipeline.stages if stage.entry == MERGE), None)
    if draft.task.waiting is not Waiting.EFFECT and entry is not None:
        moves.enter(draft, entry)


def _closed(pipeline: Pipeline, task: Task, event: PullRequestChanged) -> Transition:
    if task.merge_sha or task.is_escalated or task.pull_request != event.number:
        return ignore(task, "nothing depends on the pull request now")
    if task.last_human_at and event.at <= task.last_human_at:
        return ignore(task, "a person has acted since")
    draft = Draft(pipeline, task, event)
    moves.escalate(draft, f"pull request {event.number} was closed without a merge.")
    return draft.finish()


def effect(pipeline: Pipeline, task: Task, event: EffectFinished) -> Transition:
    """An effect the task waits for is done, or cannot be."""
    if task.waiting is not Waiting.EFFECT or task.awaiting != event.command_id:
        return _unawaited(pipeline, task, event)
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


def _unawaited(pipeline: Pipeline, task: Task, event: EffectFinished) -> Transition:
    """Nobody waits for it any more; but what our merge has merged is merged."""
    if event.effect != MERGE or not event.succeeded or task.merge_sha or _is_former(task, event):
        return ignore(task, f"nobody waits for {event.command_id}")
    draft = Draft(pipeline, task, event)
    _take_merge(draft, event.result.get("merge_sha", ""))
    return draft.finish()


def _is_former(task: Task, event: EffectFinished) -> bool:
    return task.ended_at is not None and event.at <= task.created_at


def _after_merge(draft: Draft, event: EffectFinished) -> None:
    edge = next((edge for edge in draft.stage.edges if edge.on == MERGE), None)
    if event.succeeded or draft.task.merge_sha:
        draft.change(merge_sha=draft.task.merge_sha or event.result.get("merge_sha", "") or draft.task.head)
        moves.show(draft, draft.stage.status or draft.stage.name)
        moves.start_run(draft)
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
    still_open = tuple(key for key in task.open_dependencies if key in event.open_keys)
    circled = task.escalation == _CIRCLE
    goes_on = circled or (task.waiting is Waiting.DEPENDENCY and not still_open)
    if still_open == task.open_dependencies and not goes_on:
        return ignore(task, "already known")
    draft = Draft(pipeline, task, event)
    draft.change(open_dependencies=still_open, dependencies_at=event.at)
    draft.note(f"open dependencies: {', '.join(still_open) or 'none'}")
    if goes_on:
        _resume(draft)
    return draft.finish()


_CIRCLE = "its dependencies go in a circle"


def _circle(pipeline: Pipeline, task: Task, event: DependencyChanged) -> Transition:
    if task.is_escalated or task.merge_sha:
        return ignore(task, "already blocked" if task.is_escalated else "the pull request is merged")
    if task.dependencies_at and event.at <= task.dependencies_at:
        return ignore(task, "looked at since")
    draft = Draft(pipeline, task, event)
    moves.escalate(draft, f"its dependencies go in a circle: {' → '.join(event.cycle)}.")
    draft.change(escalation=_CIRCLE, dependencies_at=event.at)
    return draft.finish()


def _resume(draft: Draft) -> None:
    """Go on where the dependencies stopped the task; a wait that remains is said."""
    stage, keys = draft.stage, draft.task.open_dependencies
    draft.change(escalation="")
    if draft.task.stage == CREATED and not keys:
        moves.enter(draft, stage)
        return
    if draft.before.is_escalated:
        moves.show(draft, "todo" if draft.task.stage == CREATED else stage.status or stage.name)
    if draft.task.stage == CREATED:
        draft.change(waiting=Waiting.DEPENDENCY)
    elif stage.entry == MERGE and not draft.task.merge_sha:
        moves.merge(draft)
    else:
        moves.start_run(draft)
    if draft.task.waiting is Waiting.DEPENDENCY:
        moves.comment(draft, words.waits_for(keys))
