"""A project: what ties one tracker project to one repository and one pipeline. Read from the configuration file."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from conveyor.contracts.ids import IDENTIFIER, PROJECT

Name = Annotated[str, Meta(pattern=rf"^{PROJECT}\Z")]
Identifier = Annotated[str, Meta(pattern=rf"^{IDENTIFIER}\Z")]
Repository = Annotated[str, Meta(pattern=r"^[^/\s]+/[^/\s]+\Z")]
Given = Annotated[str, Meta(min_length=1)]


class Project(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One `[[project]]` of the configuration."""

    name: Name
    """Lower-case letters, digits and dashes; one token of every subject."""
    tracker_project_id: Given
    """The tracker's own id of the project (Plane: a UUID)."""
    identifier: Identifier
    """The prefix of its issue keys, such as SHOP in SHOP-12."""
    repository: Repository
    """`owner/name` on the forge."""
    target_branch: Given = "main"
    """Where finished work is merged to."""
    pipeline: str = "default"
    """One of `[pipelines]`, or the one that ships."""
    approvers: tuple[str, ...] = ("role:member", "role:admin")
    """Who may approve, reject and answer: `role:<role>` or a display name; guests and the bot never (SE-7)."""
    required_contexts: tuple[str, ...] = ()
    """CI contexts that must be green; empty: whatever contexts report, all of them."""
    ci: bool = True
    """Whether CI reports commit statuses on this repository; without it `ci_green` passes with that reason."""
    merge_update: Literal["rebase", "merge"] = "rebase"
    """How the merge queue brings the target branch into a task's branch before its checks and the merge (SE-16)."""
    day_budget_usd: Annotated[float, Meta(ge=0)] = 0.0
    """What the agents of this project may cost in a day (UTC); 0: no limit."""
    health_url: str = ""
    """What the post-deploy monitor asks; empty: no monitor."""
    monitor_s: Annotated[int, Meta(ge=0)] = 300
    """How long it asks after the deploy, in seconds, where the pipeline's stages name no time; 0: not at all."""
    start_statuses: Annotated[tuple[str, ...], Meta(min_length=1)] = ("To Analyse", "In Progress")
    """The status that starts a task: the first of these that the project has (SE-5)."""
