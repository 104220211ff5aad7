"""A Gitea that pretends: real git over HTTP, its REST interface and its webhooks, with the traps of the real one."""

from conveyor.simulator.gitea.flavour import FORGEJO, GITEA, Flavour
from conveyor.simulator.gitea.forge import Timing
from conveyor.simulator.gitea.server import GiteaServer
from conveyor.simulator.gitea.world import RefusalError

__all__ = ["FORGEJO", "GITEA", "Flavour", "GiteaServer", "RefusalError", "Timing"]
