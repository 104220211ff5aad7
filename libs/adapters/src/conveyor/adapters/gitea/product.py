"""Which forge answers, by its version, and what it cannot do: Gitea and Forgejo share an interface, not every part."""

import re

from msgspec import Struct

_VERSION = re.compile(r"(\d+)\.(\d+)")
_BASED_ON = re.compile(r"\+gitea-(\d+\.\d+)")
_ALWAYS = ("push", "create", "delete", "pull_request", "issue_comment")
_STATUS_SINCE = (1, 24)
"""Gitea tells statuses from 1.23 on; there they cannot be subscribed to through the API."""
_WORKFLOW_SINCE = (1, 25)


class Product(Struct, frozen=True, kw_only=True):
    """A forge as it names itself."""

    version: str
    """As told, such as 1.26.4 or 12.0.0+gitea-1.22.0."""
    is_forgejo: bool = False
    level: tuple[int, int] = (0, 0)
    """The version of Gitea whose interface it has; (0, 0) when it cannot be read."""

    @property
    def name(self) -> str:
        """Gitea or Forgejo."""
        return "Forgejo" if self.is_forgejo else "Gitea"

    @property
    def events(self) -> tuple[str, ...]:
        """What a webhook can be told to bring here, by the names one subscribes with."""
        found = list(_ALWAYS)
        if not self.is_forgejo and self.level >= _STATUS_SINCE:
            found.append("status")
        if not self.is_forgejo and self.level >= _WORKFLOW_SINCE:
            found.append("workflow_run")
        return tuple(found)

    @property
    def tells_ci(self) -> bool:
        """Whether a webhook tells when CI has finished; otherwise only asking does."""
        return "status" in self.events

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What does not work as with a current Gitea, a sentence each, for people."""
        told = []
        if not self.tells_ci:
            told.append(f"{self.name} {self.version} tells no commit status by webhook: CI is noticed by polling alone")
        if not self.is_forgejo and self.level < (1, 20):
            told.append(f"Gitea {self.version} cannot start a branch at a commit (1.20 can); update it")
        if self.level == (0, 0):
            told.append(f"the version {self.version!r} cannot be read: the oldest interface is assumed")
        return tuple(told)


def product_of(version: str) -> Product:
    """Return the forge that tells this version; Forgejo names the Gitea that it was forked from behind a plus."""
    based_on = _BASED_ON.search(version)
    found = _VERSION.search(based_on[1] if based_on else version)
    level = (int(found[1]), int(found[2])) if found else (0, 0)
    # Forgejo counts on its own (7, 8, ...); Gitea has never left 1.
    is_forgejo = based_on is not None or "forgejo" in version.lower() or level[0] > 1
    return Product(version=version, is_forgejo=is_forgejo, level=level)
