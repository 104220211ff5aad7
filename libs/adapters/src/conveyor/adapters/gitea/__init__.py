"""Gitea: the forge's REST client split by topic, and the parser of its webhooks (`gitea.webhook`)."""

from conveyor.adapters.gitea.forge import GiteaForge
from conveyor.adapters.gitea.hooks import EVENTS
from conveyor.adapters.gitea.http import RefusedError
from conveyor.adapters.gitea.merge import MergeAttempt, meaning
from conveyor.adapters.gitea.product import Product, product_of
from conveyor.adapters.gitea.rights import RepoRights
from conveyor.adapters.gitea.statuses import combine

__all__ = [
    "EVENTS",
    "GiteaForge",
    "MergeAttempt",
    "Product",
    "RefusedError",
    "RepoRights",
    "combine",
    "meaning",
    "product_of",
]
