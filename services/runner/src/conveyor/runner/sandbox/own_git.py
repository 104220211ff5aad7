"""The repository's administration made for one run alone: an agent commits into it, and cannot reach the mirror.

The run sees it in the mirror's place: a branch, the forge's branches as of the last fetch, an index, and the mirror's
objects to read. What it commits is fetched from there afterwards, object by object checked by git.
"""

import os
import re
import shutil
from pathlib import Path

from conveyor.runner.sandbox.profile import PrivateGit
from conveyor.runner.workspace import Git, GitError, Workspace

_OBJECTS_SEEN = "mirror-objects"
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH = re.compile(r"ref: (refs/heads/[^\s\0\\]{1,400})")
_MAX_BYTES = 16 * 1024 * 1024
_FORMAT = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"


class OwnGit:
    """One run's administration of its repository, in a folder of its own."""

    def __init__(self, git: Git, workspace: Workspace, folder: Path) -> None:
        self._git = git
        self._workspace = workspace
        self._folder = folder / "git"
        self._import = folder / "import.git"

    async def make(self, excluded: tuple[str, ...] = ()) -> PrivateGit:
        """Make it, some paths left out of what it commits; OSError or GitError when that cannot be."""
        mirror, name = self._workspace.mirror, self._workspace.git_dir.name
        own = self._folder / "worktrees" / name
        for folder in (own, self._folder / "refs" / "heads", self._folder / "info", self._folder / _OBJECTS_SEEN):
            folder.mkdir(parents=True, exist_ok=True)
        _make_objects(self._folder, f"../{_OBJECTS_SEEN}")
        for file in ("HEAD", "config", "info/exclude"):
            shutil.copyfile(mirror / file, self._folder / file)
        with (self._folder / "info" / "exclude").open("a") as file_of_names:
            file_of_names.writelines(f"/{path}\n" for path in excluded)
        for file in ("HEAD", "commondir", "gitdir", "index"):
            shutil.copy2(self._workspace.git_dir / file, own / file)  # with its time: the index tells changes by it
        known = ("refs/remotes/origin", f"refs/heads/{self._workspace.request.branch}")
        refs = await self._git.run(mirror, "for-each-ref", "--format=%(objectname) %(refname)", *known)
        (self._folder / "packed-refs").write_text(refs + "\n")
        return PrivateGit(
            mirror=str(mirror),
            own=str(self._folder),
            objects=str(mirror / "objects"),
            objects_seen=str(mirror / _OBJECTS_SEEN),
        )

    async def take_home(self) -> None:
        """Bring what the run committed into the mirror, onto the task's branch; GitError when it is not sound."""
        workspace, git = self._workspace, self._git
        head = self._head()
        if head in ("", workspace.base):
            return
        if not self._has_plain_objects():
            raise GitError("its objects are no plain files", "")
        self._make_import(head)
        reference = f"refs/conveyor/{workspace.git_dir.name}"
        await git.run(
            workspace.mirror, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force", str(self._import),
            f"refs/heads/import:{reference}",
        )  # fmt: skip
        await git.run(workspace.mirror, "update-ref", f"refs/heads/{workspace.request.branch}", head)
        await git.run(workspace.mirror, "update-ref", "-d", reference)
        await git.work(workspace.git_dir, workspace.path, "reset", "--quiet")

    def _has_plain_objects(self) -> bool:
        """Whether its objects are what git wrote; links and a list of alternates could lead to others' repositories."""
        objects = self._folder / "objects"
        waiting = [objects]
        while waiting:
            folder = waiting.pop()
            if folder.is_symlink():
                return False
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    return False
        for name in ("alternates", "http-alternates"):
            (objects / "info" / name).unlink(missing_ok=True)
        return True

    def _make_import(self, head: str) -> None:
        """Make a repository that holds nothing of the agent's but objects: git obeys what stands in a repository."""
        (self._import / "refs" / "heads").mkdir(parents=True)
        (self._import / "HEAD").write_text("ref: refs/heads/import\n")
        (self._import / "config").write_text(_FORMAT)
        (self._import / "refs" / "heads" / "import").write_text(head + "\n")
        _make_objects(self._import, str(self._folder / "objects"), str(self._workspace.mirror / "objects"))

    def _head(self) -> str:
        """Return the commit the run ended on, read as plain text; empty when there is none that can be believed."""
        head = _text(self._folder / "worktrees" / self._workspace.git_dir.name / "HEAD").strip()
        if _SHA.fullmatch(head):
            return head
        branch = _BRANCH.fullmatch(head)
        if branch is None or ".." in branch[1]:
            return ""
        found = _text(self._folder / branch[1]).strip()
        if _SHA.fullmatch(found):
            return found
        packed = (line.split(" ", 1) for line in _text(self._folder / "packed-refs").splitlines())
        return next((fields[0] for fields in packed if fields[1:] == [branch[1]] and _SHA.fullmatch(fields[0])), "")


async def take_home(own: OwnGit) -> str:
    """As the method, but return why it could not be, for people; empty when it could."""
    try:
        await own.take_home()
    except (GitError, OSError) as error:
        return f"the agent's own commits cannot be read and were left out: {error}"
    return ""


def _make_objects(folder: Path, *alternates: str) -> None:
    (folder / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (folder / "objects" / "info" / "alternates").write_text("".join(f"{path}\n" for path in alternates))


def _text(path: Path) -> str:
    """Return a file an agent may have put there; empty for what is no plain file of a sensible size."""
    try:
        if any(step.is_symlink() for step in (path, *path.parents)) or not path.is_file():
            return ""
        return path.read_bytes()[:_MAX_BYTES].decode(errors="replace")
    except OSError:
        return ""
