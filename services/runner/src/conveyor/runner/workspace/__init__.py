"""Where agents work: a bare mirror per repository, a worktree per task, and the way back to the forge."""

from conveyor.runner.workspace.git import Git, GitError, authorization
from conveyor.runner.workspace.places import Request, Workspace
from conveyor.runner.workspace.publish import PushRejectedError
from conveyor.runner.workspace.workspaces import Workspaces

__all__ = ["Git", "GitError", "PushRejectedError", "Request", "Workspace", "Workspaces", "authorization"]
