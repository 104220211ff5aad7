"""Finds the task a draft is about when the delivery itself does not say: by issue id, or by commit (GW-8)."""

from msgspec import Struct

from conveyor.contracts.events import AnyEvent
from conveyor.contracts.project import Project
from conveyor.contracts.task import Task
from conveyor.gateway.core.commits import sole_in_development, with_head
from conveyor.gateway.core.drafts import Draft, Ignored, IgnoredKind, about
from conveyor.gateway.core.registry import Registry
from conveyor.gateway.ports import Forge, Lookup, Tasks, Tracker
from conveyor.servicekit import logs


class Resolver(Struct, frozen=True, kw_only=True):
    """Asks the cheapest source first: what we noted ourselves, then tracker or forge, then what can be guessed."""

    registry: Registry
    lookup: Lookup
    tracker: Tracker
    forge: Forge
    tasks: Tasks

    async def resolve(self, draft: Draft) -> AnyEvent | Ignored:
        """Return the event as one of its task, or why there is none; TransientError while nobody can be asked."""
        key = await (self._key_of_commit(draft) if draft.sha else self._key_of_issue(draft))
        project = self.registry.of_key(key) if key else None
        if project is None:
            what = f"commit {draft.sha}" if draft.sha else f"issue {draft.issue_id}"
            logs.get("resolve").info("not resolved", what=what, repository=draft.repository)
            return Ignored(IgnoredKind.NO_TASK, f"{what} belongs to no task")
        return about(draft.event, project.name, key)

    async def _key_of_issue(self, draft: Draft) -> str:
        if known := await self._noted(f"issue.{draft.issue_id}"):
            return known
        if not draft.tracker_project_id:
            return ""
        issue = await self.tracker.issue(draft.tracker_project_id, draft.issue_id)
        return issue.key if issue else ""

    async def _key_of_commit(self, draft: Draft) -> str:
        if known := await self._noted(f"commit.{draft.sha}"):
            return known
        projects = self.registry.of_repository(draft.repository)
        tasks = [task for project in projects for task in await self._open_tasks(project)]
        if task := with_head(tasks, draft.sha):
            return task.key
        for branch in await self.forge.branches_at(draft.repository, draft.sha):
            if found := self.registry.task_of_branch(draft.repository, branch):
                return found[1]
        sole = sole_in_development(tasks)
        return sole.key if sole else ""

    async def _noted(self, name: str) -> str:
        """Return the key written down under a name; it may stand behind its project (`shop/SHOP-12`)."""
        entry = await self.lookup.get(name)
        return entry.value.decode().rpartition("/")[2] if entry else ""

    async def _open_tasks(self, project: Project) -> list[Task]:
        stored = await self.tasks.all(project.name)
        return [found.record.task for found in stored if not found.record.task.is_over]
