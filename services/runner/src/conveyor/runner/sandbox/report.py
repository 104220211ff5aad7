"""What the sandbox holds on this machine and what it does not, in words for operators; also the runner's first log."""

from msgspec import Struct

from conveyor.runner.sandbox.ability import Ability
from conveyor.runner.sandbox.settings import SandboxSettings


class Holding(Struct, frozen=True, kw_only=True):
    """One promise, whether it holds here, and by what; where it does not, what to do."""

    what: str
    holds: bool
    why: str


def report(settings: SandboxSettings, ability: Ability) -> tuple[Holding, ...]:
    """Return every promise of the sandbox with what becomes of it on this machine."""
    walls = settings.mode != "none" and bool(ability.bubblewrap)
    why_not = "runner.sandbox.mode is 'none'" if settings.mode == "none" else ability.why_not
    return (
        _fact("no secret of ours in the agent's environment", "an allow-list of variables"),
        Holding(
            what="our configuration, other tasks and other processes out of reach",
            holds=walls,
            why="bubblewrap: only worktree, scratch and HOME, and programs to read" if walls
            else f"the agent sees what the runner's user sees: {why_not}; else give the runner a user of its own",
        ),
        Holding(
            what="writes confined to worktree and scratch, the mirror intact",
            holds=walls,
            why="bubblewrap; commits are fetched from a repository of the run's own" if walls
            else f"{why_not}; a mirror that an agent broke is made anew from the forge",
        ),
        Holding(
            what="the runner is not root",
            holds=not ability.is_root,
            why="a hole in the walls would be root's: give the runner a user of its own" if ability.is_root
            else "a user of its own",
        ),
        _network(settings, walls=walls, why_not=why_not),
        Holding(
            what="nothing of a run survives it, or its runner",
            holds=walls or ability.cgroups is not None,
            why="a pid namespace, and a keeper that is parent of all" if walls
            else "a keeper that is parent of all, and a control group" if ability.cgroups
            else "a keeper that is parent of all, then a search by run id: enough for accidents, but a hostile agent"
            f" that kills its keeper and clears its environment gets away: {why_not}",
        ),
        *_limits(settings, ability),
        _fact("what agents run when they open a repository is the target branch's", "exchanged for the run's time"),
    )  # fmt: skip


def _fact(what: str, why: str) -> Holding:
    return Holding(what=what, holds=True, why=why)


def _network(settings: SandboxSettings, *, walls: bool, why_not: str) -> Holding:
    what = {
        "open": "network as the setting says: open",
        "hosts": f"network as the setting says: only {', '.join(settings.hosts)}",
        "none": "network as the setting says: none",
    }[settings.network]
    if settings.network == "open":
        return _fact(what, "whatever the runner's machine reaches its agents reach, services on its loopback too")
    return Holding(what=what, holds=walls, why="a network namespace" if walls else f"the network is open: {why_not}")


def _limits(settings: SandboxSettings, ability: Ability) -> tuple[Holding, ...]:
    controllers = ability.cgroups.controllers if ability.cgroups else frozenset[str]()
    delegate = "give the runner a control group of its own (systemd: Delegate=yes)"
    return (
        Holding(
            what=f"memory of a run: {_amount(settings.memory_mb, 'MB')}",
            holds=True,
            why="control group" if "memory" in controllers
            else f"each process by the kernel, all together looked at twice a second; for exactness {delegate}",
        ),
        Holding(
            what=f"processes of a run: {_amount(settings.processes, '')}",
            holds=True,
            why="control group" if "pids" in controllers
            else f"counted twice a second, stopped when there are more; for exactness {delegate}",
        ),
        Holding(
            what=f"processors of a run: {_amount(settings.cpus, '')}",
            holds=not settings.cpus or "cpu" in controllers,
            why="control group" if "cpu" in controllers else f"no control group with that controller: {delegate}",
        ),
        _fact(f"processor time of a process: {_amount(settings.cpu_seconds, 's')}", "by the kernel, each process"),
        _fact(
            f"disk of a run: {_amount(settings.disk_mb, 'MB')}",
            "each file by the kernel, all together measured as the disk fills",
        ),
    )  # fmt: skip


def _amount(value: float, unit: str) -> str:
    return f"{value:g} {unit}".strip() if value else "no limit"
