"""The operator's last word before a worktree goes: the hook `before_remove`, outside any agent's place (RU-15)."""

from collections.abc import Mapping

from conveyor.runner.hooks import Hooks, Scene
from conveyor.runner.process import StopSwitch
from conveyor.runner.workspace import Request, Workspaces
from conveyor.servicekit import logs

_log = logs.get("runner.tidy")


class Farewell:
    """Called with whose worktree is about to be removed; does not raise."""

    def __init__(self, hooks: Hooks, workspaces: Workspaces, environment: Mapping[str, str]) -> None:
        self._hooks = hooks
        self._workspaces = workspaces
        self._environment = environment

    async def __call__(self, request: Request) -> None:
        """Run the hook in the worktree, if there is one."""
        worktree = self._workspaces.path_of(request)
        if not worktree.is_dir():
            return

        async def take(output: bytes) -> None:
            _log.info("before_remove", task=request.key, said=output.decode(errors="replace").strip())

        scene = Scene(
            run_id=f"remove-{request.project}-{request.key}",
            worktree=worktree,
            scratch=worktree,
            env={**self._environment, "CONVEYOR_TASK": request.key, "CONVEYOR_PROJECT": request.project},
            switch=StopSwitch(),
            take=take,
        )
        if why := await self._hooks.run("before_remove", scene):
            _log.warning("hook failed", task=request.key, reason=why)
