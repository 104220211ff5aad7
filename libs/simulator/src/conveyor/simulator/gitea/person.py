"""What a person does on Gitea's pages, as verbs of the server object: the same consequences as through the API."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager

from conveyor.simulator.gitea.ci import Ci, CiJob, Decide
from conveyor.simulator.gitea.forge import Forge
from conveyor.simulator.gitea.git import FileCommit
from conveyor.simulator.gitea.merge import MergeOrder, merge_pull
from conveyor.simulator.gitea.pulls import NewPull, comment_pull, open_pull, update_pull
from conveyor.simulator.gitea.reviews import NewReview, give_review
from conveyor.simulator.gitea.statuses import NewStatus, post_status
from conveyor.simulator.gitea.webhooks import expand_events, quietly
from conveyor.simulator.gitea.world import (
    Comment,
    Hook,
    Permission,
    Protection,
    Pull,
    RefusalError,
    Repo,
    Review,
    Status,
    Token,
    User,
)

CHECK_TIMEOUT_S = 20.0
Files = Mapping[str, str | bytes | None]


class Person:
    """Verbs over a forge. `repo` is `owner/name` everywhere; `by` is a login, the repository's owner by default."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        self._ci = Ci(forge)

    def quietly(self) -> AbstractContextManager[None]:
        """What this task does inside the block sends no webhook."""
        return quietly()

    def repo(self, repo: str) -> Repo:
        """Return a repository's state; RefusalError if there is none."""
        return self.forge.world.repo(repo)

    def pull(self, repo: str, number: int) -> Pull:
        """Return a pull request's state; RefusalError if there is none."""
        return self.forge.world.pull(self.repo(repo), number)

    def pulls(self, repo: str) -> list[Pull]:
        """Return all pull requests, oldest first."""
        return list(self.repo(repo).pulls.values())

    def _by(self, repo: Repo, by: str | None) -> User:
        return repo.owner if by is None else self.forge.world.user(by)

    def create_user(self, login: str, *, password: str = "", is_admin: bool = False) -> User:
        """Make an account (password `secret` unless said); RefusalError 422 if the name is taken."""
        world = self.forge.world
        if login in world.users:
            raise RefusalError(422, f"user already exists [name: {login}]")
        email = f"{login}@example.test"
        user = User(world.next_id("user"), login, email, password or "secret", self.forge.now(), is_admin=is_admin)
        world.users[login] = user
        return user

    def create_token(self, login: str, scopes: tuple[str, ...] = ("all",)) -> str:
        """Make an access token for this user and return its secret."""
        secret, token_id = secrets.token_hex(20), self.forge.world.next_id("token")
        self.forge.world.user(login).tokens[secret] = Token(token_id, f"token-{token_id}", frozenset(scopes))
        return secret

    async def create_repo(
        self, repo: str, files: Files | None = None, *, private: bool = True, default_branch: str = "main"
    ) -> Repo:
        """Make a repository whose first commit holds these files (default: a README); `{}` leaves it empty."""
        login, _, name = repo.partition("/")
        made = await self.forge.create_repo(
            self.forge.world.user(login), name, private=private, default_branch=default_branch
        )
        first = {"README.md": f"# {name}\n"} if files is None else files
        if first:
            await self.push(repo, default_branch, first, message="Initial commit")
        return made

    def add_collaborator(self, repo: str, login: str, permission: Permission = "write") -> None:
        """Let a user work on a repository."""
        self.repo(repo).collaborators[self.forge.world.user(login).login] = permission

    def add_hook(self, repo: str, url: str, secret: str, events: tuple[str, ...] = (), kind: str = "gitea") -> Hook:
        """Register an active webhook for these events (default: everything an orchestrator hears)."""
        wanted = list(events) or ["push", "create", "delete", "pull_request", "issue_comment", "status"]
        now, hook_id = self.forge.now(), self.forge.world.next_id("hook")
        heard = expand_events(wanted, self.forge.flavour)
        hook = Hook(hook_id, url, "json", secret, heard, True, "", "", now, now, kind)  # noqa: FBT003 - active
        self.repo(repo).hooks[hook.id] = hook
        return hook

    def protect(
        self, repo: str, branch: str, *, enable_status_check: bool = False, required_approvals: int = 0
    ) -> None:
        """Protect a branch: checks must be green, or so many must approve, before anything is merged into it."""
        rule = Protection(branch, enable_status_check=enable_status_check, required_approvals=required_approvals)
        self.repo(repo).protections[branch] = rule

    async def push(
        self, repo: str, branch: str, files: Files, *, by: str | None = None, message: str = "Change files"
    ) -> str:
        """Commit files onto a branch (made from the default branch if new; None deletes a file); return the sha."""
        target = self.repo(repo)
        actor = self._by(target, by)
        async with target.lock:
            parent = target.heads.get(branch) or target.heads.get(target.default_branch)
            commit = FileCommit(branch, parent, files, message, self.forge.signature(actor))
            sha = await target.git.commit_files(commit)
            await self.forge.refs_moved(target, actor)
        return sha

    async def reset_branch(self, repo: str, branch: str, sha: str, *, by: str | None = None) -> None:
        """Put a branch onto a commit, as a forced push does; makes the branch if it is not there."""
        target = self.repo(repo)
        async with target.lock:
            await target.git.update_ref(f"refs/heads/{branch}", sha)
            await self.forge.refs_moved(target, self._by(target, by))

    async def delete_branch(self, repo: str, branch: str, *, by: str | None = None) -> None:
        """Remove a branch; open pull requests from or to it are closed."""
        target = self.repo(repo)
        async with target.lock:
            await target.git.delete_ref(f"refs/heads/{branch}")
            await self.forge.refs_moved(target, self._by(target, by))

    def branch_sha(self, repo: str, branch: str) -> str | None:
        """Return where a branch stands; None if there is none."""
        return self.repo(repo).heads.get(branch)

    async def read_file(self, repo: str, ref: str, path: str) -> str | None:
        """Return a file's text at a branch, tag or sha; None if it is not there."""
        git = self.repo(repo).git
        entries = await git.entries(ref, path)
        if not entries or entries[0].path != path:
            return None
        return (await git.blob(entries[0].sha)).decode("utf-8", "replace")

    async def set_status(self, repo: str, where: str, context: str, state: str, *, by: str | None = None) -> Status:
        """Post a commit status on a sha, or on where a branch stands now."""
        target = self.repo(repo)
        sha = target.heads.get(where, where)
        return await post_status(self.forge, target, sha, NewStatus(state, context), self._by(target, by))

    async def open_pull(
        self, repo: str, head: str, *, base: str | None = None, title: str = "", by: str | None = None
    ) -> Pull:
        """Open a pull request to the default branch."""
        target = self.repo(repo)
        new = NewPull(head, base or target.default_branch, title or head)
        return await open_pull(self.forge, target, new, self._by(target, by))

    def close_pull(self, repo: str, number: int, *, by: str | None = None) -> None:
        """Close a pull request without merging it."""
        target = self.repo(repo)
        self.forge.close(target, self.pull(repo, number), self._by(target, by))

    async def update_pull(self, repo: str, number: int, *, style: str = "merge", by: str | None = None) -> None:
        """Bring the base into the head, by merge or rebase."""
        target = self.repo(repo)
        await update_pull(self.forge, target, self.pull(repo, number), style, self._by(target, by))

    async def merge_pull(self, repo: str, number: int, *, style: str = "merge", by: str | None = None) -> str:
        """Wait until the check is done, as a person does, then merge and return the merge commit."""
        target = self.repo(repo)
        pull = await self.checked(repo, number)
        return await merge_pull(self.forge, target, pull, MergeOrder(style), self._by(target, by))

    async def checked(self, repo: str, number: int) -> Pull:
        """Wait until Gitea knows whether a pull request can be merged; TimeoutError after 20 s."""
        pull = self.pull(repo, number)
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await pull.judged.wait()
        return pull

    def approve_review(self, repo: str, number: int, *, by: str, text: str = "lgtm") -> Review:
        """Approve where the head stands now."""
        return self._review(repo, number, NewReview("APPROVED", text), by)

    def request_changes(self, repo: str, number: int, text: str, *, by: str) -> Review:
        """Ask for changes where the head stands now."""
        return self._review(repo, number, NewReview("REQUEST_CHANGES", text), by)

    def comment_review(self, repo: str, number: int, text: str, *, by: str) -> Review:
        """Give a review without a verdict."""
        return self._review(repo, number, NewReview("COMMENT", text), by)

    def _review(self, repo: str, number: int, new: NewReview, by: str) -> Review:
        return give_review(self.forge, self.repo(repo), self.pull(repo, number), new, self.forge.world.user(by))

    def comment(self, repo: str, number: int, text: str, *, by: str | None = None) -> Comment:
        """Write into a pull request's conversation."""
        target = self.repo(repo)
        return comment_pull(self.forge, target, self.pull(repo, number), text, self._by(target, by))

    def enable_ci(
        self, repo: str, *, context: str = "ci/test", decide: str | Decide = "success", delay_s: float = 0.0
    ) -> None:
        """Post pending and then a verdict for every commit pushed to a branch other than the default.

        `decide` is the verdict, or is asked for it with branch and sha.
        """
        target = self.repo(repo)
        self._ci.enable(target, CiJob(context, decide, delay_s, target.owner))

    def disable_ci(self, repo: str) -> None:
        """Run no CI any more for a repository."""
        self._ci.disable(self.repo(repo))
