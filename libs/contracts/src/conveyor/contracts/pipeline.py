"""The pipeline as data: stages in their order, each with its agent, gate, documents and rollback edges."""

from msgspec import Struct

from conveyor.contracts.commands import Priority, Update

MERGE = "merge"
"""The entry of a stage that first brings the pull request into the target branch; also the edge of its failure."""


class Edge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a task goes back to when a check rejects its work, and how often at most."""

    on: str
    """The check that rejects, or `merge`."""
    to: str
    cap: int
    """Rollbacks into `to` that are allowed before a person has to look (SE-11)."""
    status: str = ""
    """The logical status to show instead of the stage's own while the work is redone."""


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One stage. Entering it starts its own agent."""

    name: str
    role: str
    gate: tuple[str, ...]
    """Named checks, evaluated in this order; all must pass."""
    agent: str = ""
    """Which configured agent plays the role; empty: the pipeline's default agent."""
    status: str = ""
    """The logical status key shown while the agent works; empty: the stage's name."""
    documents: tuple[str, ...] = ()
    """What the agent has to leave in the task's document folder."""
    verdicts: tuple[str, ...] = ()
    """Documents that speak for one run only: an earlier run's are removed before the agent starts."""
    entry: str = ""
    """`merge`, or empty: what has to be done before the agent starts."""
    timeout_s: int = 1800
    pool: str = "default"
    priority: Priority = Priority.NORMAL
    """Runners take high before normal before low."""
    update: Update = Update.NONE
    """How the target branch is brought into the task's before each run; a conflict is told to the agent."""
    opens_pull_request: bool = False
    edges: tuple[Edge, ...] = ()
    rejected_to: str = ""
    """Where a person's rejection sends the task; empty: the stage before (the first stage: itself)."""
    retry_broken: bool = True
    """Whether an unreadable verdict costs a failure attempt and runs the agent again; else a person is asked."""
    monitor_s: int = 0
    """How long the deployed system is watched after the gate passed; 0: not at all."""


class Pipeline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A named line of stages with the budgets that hold on it."""

    name: str
    stages: tuple[Stage, ...]
    agent: str = "claude"
    docs_dir: str = "docs/tasks/{key}"
    approvers: tuple[str, ...] = ("role:member", "role:admin")
    rework_cap: int = 3
    """Rollbacks that changes requested on the pull request may cause (SE-10, SE-11)."""
    failure_attempts: int = 2
    transient_attempts: int = 5
    transient_first_s: float = 10.0
    """The unit of the transient delay: min(2^n x this, cap) with n from 1 (RU-8)."""
    transient_cap_s: float = 600.0
    run_budget_usd: float = 0.0
    """What one run may cost; 0: no limit (RU-13)."""
    task_budget_usd: float = 0.0
    """What all runs of a task may cost together; 0: no limit."""
    idle_runs: int = 3
    """Runs of one role in a row that may change nothing before a person has to look; 0: any number."""
    deletes_branch: bool = False
    """Whether the branch of a task that is merged and done goes, with what was committed to it after the merge."""

    def stage(self, name: str) -> Stage | None:
        """Return the stage of this name; None for created, done, cancelled and unknown ones."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def agent_of(self, stage: Stage) -> str:
        """Return the configured agent that plays this stage's role."""
        return stage.agent or self.agent

    def index(self, name: str) -> int:
        """Return the place of a stage in the line, from 0; -1 for created, the number of stages for any other."""
        names = [stage.name for stage in self.stages]
        if name in names:
            return names.index(name)
        return -1 if name == "created" else len(names)

    def before(self, name: str) -> Stage:
        """Return the stage before this one; the first stage is its own predecessor."""
        return self.stages[max(self.index(name) - 1, 0)]

    def after(self, name: str) -> Stage | None:
        """Return the stage after this one; None after the last."""
        place = self.index(name) + 1
        return self.stages[place] if place < len(self.stages) else None

    def documents_of(self, key: str) -> str:
        """Return the folder in the repository that holds a task's documents."""
        return self.docs_dir.format(key=key)
