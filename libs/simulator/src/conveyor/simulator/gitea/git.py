"""Bare git repositories driven by the git command: where the simulated Gitea keeps every branch for real."""

import asyncio
import contextlib
import dataclasses
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

ZERO_SHA = "0" * 40
FIELD, RECORD = "\x1f", "\x1e"
CONFIG = """
[gc]
\tauto = 0
[receive]
\tautogc = false
\thideRefs = refs/pull
[http]
\treceivepack = true
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
"""


class GitError(Exception):
    """A git command failed; the text holds its arguments and what it said."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """Who wrote a commit, and when (ISO 8601, second precision)."""

    name: str
    email: str
    at: str


@dataclasses.dataclass(frozen=True)
class Commit:
    """One commit as git tells it."""

    sha: str
    tree_sha: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclasses.dataclass(frozen=True)
class TreeEntry:
    """One line of a folder listing: `kind` is blob, tree or commit; `size` is in bytes, 0 for folders."""

    path: str
    kind: str
    sha: str
    size: int


@dataclasses.dataclass(frozen=True)
class FileDelta:
    """What a commit did to the files: paths added, removed and modified."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    modified: tuple[str, ...]


def git_program() -> str:
    """Return the absolute path of git; raises GitError when there is none."""
    found = shutil.which("git")
    if found is None:
        raise GitError("git is not on PATH")
    return found


def git_environment() -> dict[str, str]:
    """Return the whole environment a git child gets: nothing of the host's configuration leaks in."""
    return {
        "PATH": os.pathsep.join([str(Path(git_program()).parent), os.defpath]),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": os.devnull,
    }


async def run_git(cwd: Path, *args: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> str:
    """Run git in `cwd` and return what it printed; raises GitError when it exits non-zero."""
    return (await run_git_bytes(cwd, *args, stdin=stdin, extra=extra)).decode("utf-8", "replace")


async def run_git_bytes(cwd: Path, *args: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> bytes:
    """Do as `run_git`, for output that is not text."""
    process = await asyncio.create_subprocess_exec(
        git_program(),
        *args,
        cwd=cwd,
        env=git_environment() | dict(extra or {}),
        # Nothing to say, no pipe: a git that ends before it is written to would be an error under uvloop.
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    saying = asyncio.ensure_future(process.communicate(stdin or None))
    try:
        out, err = await asyncio.shield(saying)
    except asyncio.CancelledError:
        # Whoever stops the server must not leave a child behind.
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await saying
        raise
    if process.returncode != 0:
        said = (err or out).decode("utf-8", "replace").strip()
        raise GitError(f"git {' '.join(args)} exited {process.returncode}: {said}")
    return out


def identity_environment(who: Signature) -> dict[str, str]:
    """Return the variables that make git commit as this person at this time."""
    return {
        "GIT_AUTHOR_NAME": who.name,
        "GIT_AUTHOR_EMAIL": who.email,
        "GIT_AUTHOR_DATE": who.at,
        "GIT_COMMITTER_NAME": who.name,
        "GIT_COMMITTER_EMAIL": who.email,
        "GIT_COMMITTER_DATE": who.at,
    }


@dataclasses.dataclass(frozen=True)
class FileCommit:
    """A commit to be made: the files (None deletes one) on top of `parent_sha` (None: the first commit)."""

    branch: str
    parent_sha: str | None
    files: Mapping[str, str | bytes | None]
    message: str
    who: Signature


@dataclasses.dataclass(frozen=True)
class GitRepository:
    """One bare repository on disk."""

    path: Path

    async def init(self, default_branch: str) -> None:
        """Create the repository, empty, with its default branch named."""
        self.path.mkdir(parents=True)
        await run_git(self.path, "init", "--bare", "--quiet", ".")
        (self.path / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")
        with (self.path / "config").open("a") as config:
            config.write(CONFIG)

    async def git(self, *args: str, stdin: bytes = b"") -> str:
        """Run git in this repository and return its output without the last newline."""
        return (await run_git(self.path, *args, stdin=stdin)).rstrip("\n")

    async def refs(self, prefix: str = "refs/heads/") -> dict[str, str]:
        """Return full ref name -> sha of all refs below the prefix."""
        listing = await self.git("for-each-ref", "--format=%(refname) %(objectname)", prefix)
        return dict(line.split(" ", 1) for line in listing.splitlines())

    async def resolve(self, name: str) -> str | None:
        """Return the commit sha that a branch, tag, ref or sha means; None if nothing."""
        for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            if name and not name.startswith("-"):
                try:
                    return await self.git("rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}")
                except GitError:
                    continue
        return None

    async def branch_sha(self, branch: str) -> str | None:
        """Return the tip of a branch; None if there is no such branch."""
        try:
            return await self.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
        except GitError:
            return None

    async def update_ref(self, ref: str, new: str, old: str | None = None) -> None:
        """Move a ref; with `old` only from there. Raises GitError when it stands elsewhere."""
        await self.git("update-ref", ref, new, *([] if old is None else [old]))

    async def delete_ref(self, ref: str) -> None:
        """Remove a ref; quiet when it is not there."""
        await self.git("update-ref", "-d", ref)

    async def commit_files(self, commit: FileCommit) -> str:
        """Commit files onto a branch in one git process and return the new sha."""
        answer = await self.git("fast-import", "--quiet", "--force", stdin=_stream(commit))
        return answer.strip()

    async def commits(self, *revisions: str, limit: int = 50, skip: int = 0) -> list[Commit]:
        """Return commits of a range such as `main..topic`, newest first."""
        form = FIELD.join(["%H", "%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B"]) + RECORD
        text = await self.git("log", f"-{limit}", f"--skip={skip}", f"--format={form}", *revisions, "--")
        return [_commit(record.lstrip("\n")) for record in text.split(RECORD) if record.strip("\n")]

    async def commit(self, sha: str) -> Commit:
        """Return one commit; raises GitError for an unknown sha."""
        return (await self.commits(sha, limit=1))[0]

    async def delta(self, sha: str) -> FileDelta:
        """Return which files a commit touched, against its first parent."""
        listing = await self.git(
            "diff-tree", "--root", "--no-commit-id", "--name-status", "--no-renames", "-r", "-m", sha
        )
        return _delta(listing)

    async def diff(self, old: str, new: str) -> FileDelta:
        """Return which files differ between two commits."""
        return _delta(await self.git("diff", "--name-status", "--no-renames", old, new))

    async def merge_base(self, one: str, other: str) -> str:
        """Return the best common ancestor, or an empty string for unrelated histories."""
        try:
            return await self.git("merge-base", one, other)
        except GitError:
            return ""

    async def count(self, revisions: str) -> int:
        """Return how many commits a range holds."""
        return int(await self.git("rev-list", "--count", revisions))

    async def entries(self, ref: str, path: str) -> list[TreeEntry] | None:
        """List a folder at a ref (one entry for a file); None when the path is not there."""
        sha = await self.resolve(ref)
        if sha is None:
            return None
        listing = await self.git("ls-tree", "-l", "-z", sha, *([path] if path else []))
        found = [_entry(line) for line in listing.split("\0") if line]
        if path and found and found[0].kind == "tree":
            listing = await self.git("ls-tree", "-l", "-z", sha, path.rstrip("/") + "/")
            return [_entry(line) for line in listing.split("\0") if line]
        return found if found or not path else None

    async def blob(self, sha: str) -> bytes:
        """Return a blob's bytes."""
        return await run_git_bytes(self.path, "cat-file", "blob", sha)


def _stream(commit: FileCommit) -> bytes:
    at = int(datetime.fromisoformat(commit.who.at).timestamp())
    who = f"{commit.who.name} <{commit.who.email}> {at} +0000"
    message = commit.message.encode()
    lines = [
        f"commit refs/heads/{commit.branch}\nmark :1\nauthor {who}\ncommitter {who}\n".encode(),
        b"data %d\n%s\n" % (len(message), message),
    ]
    if commit.parent_sha is not None:
        lines.append(f"from {commit.parent_sha}\n".encode())
    for path, content in commit.files.items():
        quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if content is None:
            lines.append(f"D {quoted}\n".encode())
            continue
        raw = content.encode() if isinstance(content, str) else content
        lines.append(f"M 100644 inline {quoted}\n".encode() + b"data %d\n%s\n" % (len(raw), raw))
    return b"".join([*lines, b"\nget-mark :1\ndone\n"])


def _commit(record: str) -> Commit:
    sha, tree, parents, an, ae, ad, cn, ce, cd, message = record.split(FIELD, 9)
    return Commit(sha, tree, tuple(parents.split()), Signature(an, ae, _utc(ad)), Signature(cn, ce, _utc(cd)), message)


def _utc(stamp: str) -> str:
    return stamp.replace("+00:00", "Z")


def _delta(listing: str) -> FileDelta:
    kinds: dict[str, list[str]] = {"A": [], "D": [], "M": []}
    for line in listing.splitlines():
        kind, path = line.split("\t", 1)
        kinds["M" if kind not in kinds else kind].append(path)
    return FileDelta(tuple(kinds["A"]), tuple(kinds["D"]), tuple(kinds["M"]))


def _entry(line: str) -> TreeEntry:
    meta, path = line.split("\t", 1)
    _, kind, sha, size = meta.split()
    return TreeEntry(path, kind, sha, 0 if size == "-" else int(size))
