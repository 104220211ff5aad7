"""A bare repository on disk as a forge, a person who works on it, and workspaces over it."""

import os
import subprocess
from pathlib import Path

from conveyor.runner.workspace import Git, Request, Workspace, Workspaces

BRANCH = "feature/SHOP-12-dark-mode"


class Forge:
    """A bare repository on disk, and a person who works on it."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "forge.git"
        self.clone = folder / "person"
        self.git("init", "--bare", "--quiet", "--initial-branch=main", str(self.bare), cwd=folder)
        self.git("clone", "--quiet", str(self.bare), str(self.clone), cwd=folder)
        self.push("main", {"README.md": "hello\n", ".gitignore": "cache/\n"})

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        environment = {
            "PATH": os.environ["PATH"],  # noqa: TID251 - git has to be found
            "HOME": "/nonexistent",
            "GIT_AUTHOR_NAME": "Person",
            "GIT_AUTHOR_EMAIL": "person@example.org",
            "GIT_COMMITTER_NAME": "Person",
            "GIT_COMMITTER_EMAIL": "person@example.org",
        }
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.clone, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def push(self, branch: str, files: dict[str, str], *, base: str = "") -> str:
        self.git("fetch", "--quiet", "origin")
        self.git("checkout", "--quiet", "-B", branch, *([base] if base else []))
        for name, text in files.items():
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", f"work on {branch}")
        self.git("push", "--quiet", "--force", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def commit_of(self, branch: str) -> str:
        return self.git("rev-parse", branch, cwd=self.bare)

    def show(self, branch: str, file: str) -> str:
        return self.git("show", f"{branch}:{file}", cwd=self.bare)

    def files(self, branch: str) -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", branch, cwd=self.bare).splitlines()


def plain_git() -> Git:
    search_path = os.environ["PATH"]  # noqa: TID251 - git has to be found
    return Git(search_path=search_path, author=("Conveyor", "conveyor@example.org"))


def request_for(forge: Forge, key: str = "SHOP-12", branch: str = BRANCH) -> Request:
    return Request(
        project="shop", key=key, repository="acme/shop", url=f"file://{forge.bare}", branch=branch, target_branch="main"
    )


async def publish(workspaces: Workspaces, workspace: Workspace, message: str = "SHOP-12 developer: work") -> str:
    return await workspaces.push(workspace, await workspaces.commit(workspace, message))
