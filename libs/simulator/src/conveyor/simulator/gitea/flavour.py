"""Which forge the simulator is: Gitea, or Forgejo with its older words, extra headers and missing events."""

import dataclasses

from conveyor.simulator.gitea.world import RefusalError

_OF_PROTECTION = (
    "Not all required status checks",
    "Does not have enough approvals",
    "There are requested changes",
    "The head branch is behind",
)


@dataclasses.dataclass(frozen=True)
class Flavour:
    """What differs between the two, as far as an integrator meets it."""

    version: str
    is_forgejo: bool = False

    @property
    def brands(self) -> tuple[str, ...]:
        """Whose names stand on a delivery's headers: all of them at once."""
        ours = ("GitHub", "Gitea", "Gogs")
        return ("Forgejo", *ours) if self.is_forgejo else ours

    @property
    def hook_types(self) -> tuple[str, ...]:
        """What a webhook may call itself."""
        return ("forgejo", "gitea", "gogs") if self.is_forgejo else ("gitea", "gogs")

    @property
    def unknown_events(self) -> frozenset[str]:
        """What cannot be subscribed to here and is dropped without a word."""
        return frozenset({"status", "workflow_run", "workflow_job"}) if self.is_forgejo else frozenset()

    def reworded(self, refusal: RefusalError) -> RefusalError:
        """Return a merge's refusal in this forge's words; the status stays."""
        if not self.is_forgejo:
            return refusal
        if refusal.message == "The PR is already merged":
            return RefusalError(refusal.status, "")
        if refusal.message.startswith(_OF_PROTECTION):
            return RefusalError(refusal.status, f"not allowed to merge [reason: {refusal.message}]")
        return refusal


GITEA = Flavour("1.26.4")
FORGEJO = Flavour("12.0.0+gitea-1.22.0", is_forgejo=True)
