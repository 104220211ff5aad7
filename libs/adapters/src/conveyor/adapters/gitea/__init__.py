"""Gitea: the forge's REST client split by topic, and the parser of its webhooks (`gitea.webhook`)."""

from conveyor.adapters.gitea.forge import GiteaForge
from conveyor.adapters.gitea.hooks import EVENTS
from conveyor.adapters.gitea.http import RefusedError
from conveyor.adapters.gitea.merge import MergeAttempt, meaning
from conveyor.adapters.gitea.statuses import combine

__all__ = ["EVENTS", "GiteaForge", "MergeAttempt", "RefusedError", "combine", "meaning"]
