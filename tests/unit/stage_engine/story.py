"""Drives one task through a story by verbs, and holds every step to what must be true of any transition."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from conveyor.contracts import codec, events
from conveyor.contracts.commands import AnyCommand, Command
from conveyor.contracts.events import (
    Actor,
    AnyEvent,
    CheckResult,
    CloseKind,
    GateState,
    OperatorAction,
    Origin,
    PullRequestAction,
    ReviewValue,
    Role,
    VerdictValue,
    Via,
)
from conveyor.contracts.outcomes import Outcome, OutcomeKind, OutcomeReason, Usage
from conveyor.contracts.pipeline import Pipeline
from conveyor.contracts.pipelines import default_pipeline
from conveyor.contracts.task import Task, Waiting
from conveyor.contracts.transition import TaskRecord, Transition
from conveyor.stage_engine.core.decide import decide

C = TypeVar("C", bound=Command)
BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ANNA = Actor(actor_id="u-anna", name="anna", role=Role.MEMBER)
OPERATOR = Actor(actor_id="op", name="operator", role=Role.OPERATOR)
FIRST = default_pipeline()


def event(kind: type[Any], at: datetime, **fields: Any) -> AnyEvent:
    """An event of this kind about SHOP-1, received when it happened."""
    common = {
        "event_id": f"{kind.__name__}-{at:%H%M%S}",
        "project": "shop",
        "key": "SHOP-1",
        "at": at,
        "received_at": at,
        "source": "plane",
        "origin": Origin.WEBHOOK,
        "trace_id": "0" * 32,
    }
    return kind(**(common | fields))


def checked(pipeline: Pipeline, before: Task | None, told: AnyEvent) -> Transition:
    """Decide, and hold the answer to what is true of every transition (SE-1, SE-2)."""
    answer = decide(pipeline, before, told)
    assert answer == decide(pipeline, before, told), "the same question has one answer"
    if answer.ignored:
        assert answer.task is before, "an ignored event changes nothing"
        assert not answer.commands, "an ignored event orders nothing"
        return answer
    assert answer.task is not None
    assert answer.notes or answer.commands, f"nobody could tell what {type(told).__name__} did"
    assert answer.task.revision == (before.revision if before else 0) + 1
    for place, command in enumerate(answer.commands):
        assert command.command_id == f"shop-SHOP-1-{answer.task.revision}-{place}"
        assert command.revision == answer.task.revision
        assert codec.decode_command(codec.encode(command)) == command
    record = TaskRecord(task=answer.task, event=told, commands=answer.commands, notes=answer.notes)
    assert codec.decode_record(codec.encode(record)) == record
    return answer


class Story:
    """One task, the clock on its wall, and what was told of it."""

    def __init__(self, pipeline: Pipeline = FIRST) -> None:
        self.pipeline = pipeline
        self.now = BEGIN
        self._task: Task | None = None
        self.told: list[AnyEvent] = []
        self.last = Transition(task=None)
        self.ordered: list[AnyCommand] = []
        self.heads = 0

    @property
    def task(self) -> Task:
        assert self._task is not None, "it has not begun"
        return self._task

    @property
    def commands(self) -> list[str]:
        """The kinds of what the last event ordered."""
        return [type(command).__name__ for command in self.last.commands]

    @property
    def where(self) -> tuple[str, str]:
        return self.task.stage, self.task.waiting.value

    def one(self, kind: type[C]) -> C:
        """The only command of this kind that the last event ordered."""
        (found,) = self.all(kind)
        return found

    def all(self, kind: type[C]) -> list[C]:
        return [command for command in self.last.commands if isinstance(command, kind)]

    def tell(self, told: AnyEvent) -> "Story":
        self.last = checked(self.pipeline, self._task, told)
        self.told.append(told)
        self._task = self.last.task
        self.ordered.extend(self.last.commands)
        return self

    def again(self, told: AnyEvent | None = None) -> str:
        """Tell an event (the last one) once more, under another id; return why it is ignored."""
        return self.tell(told or self.told[-1]).last.ignored

    def _tell(self, kind: type[Any], **fields: Any) -> "Story":
        self.now += timedelta(seconds=10)
        return self.tell(event(kind, fields.pop("at", self.now), **fields))

    # --- people

    def start(self, depends_on: tuple[str, ...] = (), **fields: Any) -> "Story":
        fields = {"issue_id": "i-1", "title": "Add a basket", "depends_on": depends_on, "actor": ANNA} | fields
        return self._tell(events.IssueStarted, **fields)

    def approve(self, **fields: Any) -> "Story":
        return self._tell(
            events.VerdictGiven, **({"verdict": VerdictValue.APPROVED, "via": Via.STATUS, "actor": ANNA} | fields)
        )

    def reject(self, reason: str = "not yet", **fields: Any) -> "Story":
        given = {"verdict": VerdictValue.REJECTED, "via": Via.COMMENT, "actor": ANNA, "reason": reason}
        return self._tell(events.VerdictGiven, **(given | fields))

    def says(self, text: str = "Blue.", **fields: Any) -> "Story":
        return self._tell(events.CommentAdded, **({"comment_id": "c", "text": text, "actor": ANNA} | fields))

    def edit(self, title: str = "Add a basket", depends_on: tuple[str, ...] | None = None, **fields: Any) -> "Story":
        return self._tell(events.IssueChanged, issue_id="i-1", title=title, depends_on=depends_on, **fields)

    def close(self, how: CloseKind = CloseKind.CANCELLED, **fields: Any) -> "Story":
        return self._tell(events.IssueClosed, how=how, **fields)

    def retry(self, **fields: Any) -> "Story":
        return self._tell(events.OperatorActed, action=OperatorAction.RETRY, actor=OPERATOR, **fields)

    def cancel(self, **fields: Any) -> "Story":
        return self._tell(events.OperatorActed, action=OperatorAction.CANCEL, actor=OPERATOR, **fields)

    # --- runners

    def run_begins(self, runner_id: str = "runner-1", **fields: Any) -> "Story":
        return self._tell(events.RunStarted, **({"run_id": self.run_id, "runner_id": runner_id} | fields))

    @property
    def run_id(self) -> str:
        return self.task.run.run_id if self.task.run else "none"

    def run_ends(
        self, kind: OutcomeKind, reason: OutcomeReason = OutcomeReason.FINISHED, *, run_id: str = "", **of: Any
    ) -> "Story":
        outcome = Outcome(kind=kind, reason=reason, **of)
        return self._tell(events.RunFinished, run_id=run_id or self.run_id, outcome=outcome)

    def run_succeeds(self, **of: Any) -> "Story":
        """It leaves a new commit; from development on there is a pull request."""
        self.heads += 1
        number = 5 if self.pipeline.index(self.task.stage) >= 2 else 0
        left = {"head": f"{self.heads:040x}", "changed": True, "pull_request": number, "usage": Usage(cost_usd=0.5)}
        return self.run_ends(OutcomeKind.SUCCEEDED, **(left | of))

    def run_fails(self, **of: Any) -> "Story":
        return self.run_ends(OutcomeKind.FAILED, OutcomeReason.EXIT_CODE, **of)

    def run_is_limited(self, retry_after_s: float | None = None) -> "Story":
        return self.run_ends(OutcomeKind.TRANSIENT, OutcomeReason.RATE_LIMITED, retry_after_s=retry_after_s)

    def time_comes(self, **fields: Any) -> "Story":
        named = {"timer": "retry", "run_id": self.run_id, "revision": self.task.revision}
        return self._tell(events.TimerFired, **(named | fields))

    # --- gates and effects

    @property
    def gate_id(self) -> str:
        return self.task.gate.gate_id if self.task.gate else "none"

    def gate_finds(self, *results: CheckResult, **fields: Any) -> "Story":
        found = {"gate_id": self.gate_id, "sha": self.task.head, "results": results}
        return self._tell(events.GateEvaluated, **(found | fields))

    def gate_passes(self) -> "Story":
        stage = self.pipeline.stage(self.task.stage)
        assert stage is not None
        return self.gate_finds(*(CheckResult(check=check, state=GateState.PASSED) for check in stage.gate))

    def gate_stops(self, check: str, state: GateState, reason: str = "so it is", **evidence: str) -> "Story":
        return self.gate_finds(CheckResult(check=check, state=state, reason=reason, evidence=evidence))

    def gate_pends(self, check: str, reason: str = "not yet") -> "Story":
        return self.gate_stops(check, GateState.PENDING, reason)

    def gate_rejects(self, check: str, reason: str = "it is wrong") -> "Story":
        return self.gate_stops(check, GateState.REJECTED, reason)

    def gate_asks(self, questions: str = "Which colour?") -> "Story":
        return self.gate_stops(
            "analysis_complete", GateState.QUESTIONS, "the analyst has questions", questions=questions
        )

    def effect_ends(self, *, succeeded: bool = True, effect: str = "merge", reason: str = "", **fields: Any) -> "Story":
        result = {"merge_sha": "e" * 40} if succeeded and effect == "merge" else {}
        named = {"command_id": self.task.awaiting, "effect": effect, "result": result}
        return self._tell(events.EffectFinished, **(named | {"succeeded": succeeded, "reason": reason} | fields))

    def nudge(self, **fields: Any) -> "Story":
        return self._tell(events.Nudged, **({"gate_id": self.gate_id, "reason": "CI is green"} | fields))

    def looks_at_dependencies(
        self, open_keys: Iterable[str] = (), cycle: tuple[str, ...] = (), **fields: Any
    ) -> "Story":
        seen = {"depends_on": self.task.depends_on, "open_keys": tuple(open_keys), "cycle": cycle}
        return self._tell(events.DependencyChanged, **(seen | fields))

    # --- the forge

    def push(self, sha: str = "a" * 40, **fields: Any) -> "Story":
        return self._tell(events.BranchPushed, branch=self.task.branch, sha=sha, **fields)

    def ci_says(self, state: str = "success", context: str = "build", **fields: Any) -> "Story":
        return self._tell(
            events.CommitStatusChanged, **({"sha": self.task.head, "context": context, "state": state} | fields)
        )

    def pull_request(self, action: PullRequestAction, number: int = 5, **fields: Any) -> "Story":
        merge_sha = "f" * 40 if action is PullRequestAction.MERGED else ""
        return self._tell(
            events.PullRequestChanged,
            **({"number": number, "action": action, "head_sha": self.task.head, "merge_sha": merge_sha} | fields),
        )

    def reviewed(
        self, review: ReviewValue = ReviewValue.REJECTED, text: str = "Name it well.", **fields: Any
    ) -> "Story":
        said = {"number": 5, "review": review, "text": text, "head_sha": self.task.head, "actor": ANNA}
        return self._tell(events.ReviewSubmitted, **(said | fields))

    # --- longer ways

    def to(self, stage: str, *, waiting: Waiting = Waiting.RUN) -> "Story":
        """Go the straight way until the task stands in this stage and waits for this."""
        if self._task is None:
            self.start()
        while self.where != (stage, waiting.value):
            assert not self.task.is_over, f"never came to {stage}, waiting for {waiting}"
            self.step()
        return self

    def step(self) -> "Story":
        """Let happen what the task waits for, at its best."""
        best = {
            Waiting.RUN: self.run_succeeds,
            Waiting.RETRY: self.time_comes,
            Waiting.EFFECT: self._effect_succeeds,
            Waiting.GATE: self._best_answer,
            Waiting.FACTS: self.ci_says,
            Waiting.ANSWER: self.says,
            Waiting.DEPENDENCY: self.looks_at_dependencies,
            Waiting.PERSON: self.approve,
        }
        return best[self.task.waiting]()

    def _effect_succeeds(self) -> "Story":
        return self.effect_ends(effect="check_health" if self.task.merge_sha else "merge")

    def _best_answer(self) -> "Story":
        stage, gate = self.pipeline.stage(self.task.stage), self.task.gate
        assert stage is not None
        assert gate is not None
        if "analysis_approved" in stage.gate and not gate.approved_by:
            return self.gate_pends("analysis_approved", "a person has to approve")
        return self.gate_passes()
