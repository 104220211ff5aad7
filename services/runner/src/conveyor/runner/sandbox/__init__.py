"""What keeps an agent in its place: what it can reach, what it may take, and what of it outlives its run.

`Sandbox.room` makes the place of one run. With bubblewrap it has walls: of the file system the agent sees programs, its
worktree, scratch and HOME; it has processes, and by setting a network, of its own, and a repository administration
that is not the mirror's. Without bubblewrap it runs as the runner's user and sees what that sees: `report` says what
holds on a machine, and what to do. Everywhere: an environment that is an allow-list (`core.plan`), limits, nothing that
survives (`process`), and what agents run when they open a repository taken from the target branch (`opened`).
"""

from conveyor.runner.sandbox.ability import Ability, look
from conveyor.runner.sandbox.report import Holding, report
from conveyor.runner.sandbox.room import Hideout, Room, Sandbox, Stay
from conveyor.runner.sandbox.settings import SandboxSettings, check

__all__ = ["Ability", "Hideout", "Holding", "Room", "Sandbox", "SandboxSettings", "Stay", "check", "look", "report"]
