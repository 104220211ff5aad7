"""Runs git for the runner: own configuration, no hooks, no questions, credentials only where they are needed."""

import asyncio
import base64
import contextlib
import os
import re
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from conveyor.contracts.errors import PermanentError, TransientError

_TRANSIENT = re.compile(
    r"could not resolve|connection (refused|reset|timed out)|failed to connect|couldn't connect|timed out|early eof"
    r"|rpc failed|hung up|empty reply|returned error: (5\d\d|429|408)|operation too slow",
    re.IGNORECASE,
)
_SETTINGS = {
    "core.hooksPath": "/dev/null",  # a hook the agent wrote must not run with the runner's rights
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "commit.gpgSign": "false",
    "advice.detachedHead": "false",
    "http.followRedirects": "false",  # our header must not follow to another host
    "init.defaultBranch": "main",
}

_PIPES_END_S = 1.0


class GitError(PermanentError):
    """Git said no; `output` is what it printed."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


class Git:
    """Git with a fixed environment. `authorization` is the HTTP header's value for the forge; empty for none."""

    def __init__(
        self, *, search_path: str, author: tuple[str, str], authorization: str = "", timeout_s: float = 600
    ) -> None:
        self._timeout_s = timeout_s
        self._authorization = authorization
        name, email = author
        self._settings = {**_SETTINGS, "user.name": name, "user.email": email}
        self._environment = {
            "PATH": search_path,
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
            "GIT_HTTP_LOW_SPEED_TIME": "60",
        }

    async def run(self, where: Path, *arguments: str, stdin: bytes = b"") -> str:
        """Return what git prints in this repository; GitError when it fails."""
        return await self._call((f"--git-dir={where}",), arguments, self._settings, stdin)

    async def work(self, git_dir: Path, tree: Path, *arguments: str, stdin: bytes = b"") -> str:
        """Return what git prints in this worktree; GitError when it fails."""
        options = (f"--git-dir={git_dir}", f"--work-tree={tree}", "-C", str(tree))
        return await self._call(options, arguments, self._settings, stdin)

    async def talk(self, where: Path, url: str, *arguments: str) -> str:
        """As `run`, with the forge's credentials; TransientError when the network or the forge failed."""
        header = {f"http.{url}.extraHeader": f"Authorization: {self._authorization}"} if self._authorization else {}
        try:
            return await self._call((f"--git-dir={where}",), arguments, {**self._settings, **header}, b"")
        except GitError as error:
            if _TRANSIENT.search(error.output):
                raise TransientError(f"the forge could not be reached: {error}") from error
            raise

    async def _call(
        self, options: tuple[str, ...], arguments: tuple[str, ...], settings: Mapping[str, str], stdin: bytes
    ) -> str:
        with tempfile.TemporaryFile() as given:  # a pipe may be closed before it is written: git need not read it
            given.write(stdin)
            given.seek(0)
            process = await asyncio.create_subprocess_exec(
                "git",
                *options,
                *arguments,
                env={**self._environment, **_as_variables(settings)},
                stdin=given,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        saying = asyncio.ensure_future(process.communicate())
        try:
            async with asyncio.timeout(self._timeout_s):
                out, err = await asyncio.shield(saying)
        except TimeoutError as error:
            await _end(process, saying)
            raise TransientError(f"git {arguments[0]} took longer than {self._timeout_s:g} s") from error
        except BaseException:
            await _end(process, saying)
            raise
        text, errors = out.decode(errors="replace"), err.decode(errors="replace")
        if process.returncode:
            raise GitError(f"git {arguments[0]} failed: {_last_line(errors) or _last_line(text)}", text + errors)
        return text.strip()


def authorization(user: str, token: str) -> str:
    """Return git's header for the forge: Gitea takes a token as password, or as name beside this password."""
    if not token:
        return ""
    pair = f"{user}:{token}" if user else f"{token}:x-oauth-basic"
    return "Basic " + base64.b64encode(pair.encode()).decode()


async def _end(process: asyncio.subprocess.Process, saying: asyncio.Future[tuple[bytes, bytes]]) -> None:
    """Kill a git with all that it started, and take leave of it, also when it has gone just now.

    It is heard to its end by whoever hears it already: a pipe has one reader.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # its pipes end with it, unless something has left its group
        async with asyncio.timeout(_PIPES_END_S):
            await saying
    await process.wait()


def _as_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as environment variables: they outrank every file, and secrets stay off the command line."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (name, value) in enumerate(settings.items()):
        variables[f"GIT_CONFIG_KEY_{index}"] = name
        variables[f"GIT_CONFIG_VALUE_{index}"] = value
    return variables


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if not line.startswith("hint:")]
    return lines[-1].strip()[:300] if lines else ""
