"""Clone, fetch and push over HTTP: git's own `http-backend` as a CGI child, whose answer is streamed."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from conveyor.simulator.gitea.auth import authenticate
from conveyor.simulator.gitea.forge import Forge
from conveyor.simulator.gitea.git import git_environment, git_program
from conveyor.simulator.gitea.world import RefusalError, Repo, User

CHUNK_BYTES = 64 * 1024
RECEIVE = "git-receive-pack"
CHALLENGE = {"WWW-Authenticate": 'Basic realm="Gitea"'}


class GitHttp:
    """Serves every repository of the forge below `/{owner}/{name}.git`."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge

    def routes(self) -> list[Route]:
        """Return the three addresses of git's smart protocol."""
        return [
            Route("/{owner}/{name}/info/refs", self._serve, methods=["GET"]),
            Route("/{owner}/{name}/git-upload-pack", self._serve, methods=["POST"]),
            Route("/{owner}/{name}/git-receive-pack", self._serve, methods=["POST"]),
        ]

    async def _serve(self, request: Request) -> Response:
        writing = RECEIVE in (request.url.path.rpartition("/")[2], request.query_params.get("service"))
        try:
            repo, user = self._admit(request, writing=writing)
        except RefusalError as refusal:
            headers = CHALLENGE if refusal.status == 401 else {}
            return PlainTextResponse(refusal.message + "\n", refusal.status, headers)
        if request.method == "POST" and writing and user is not None:
            return await self._receive(request, repo, user)
        return await _Exchange(request, repo, user).respond()

    def _admit(self, request: Request, *, writing: bool) -> tuple[Repo, User | None]:
        caller = authenticate(self._forge.world, request.headers.get("authorization"))
        owner, name = request.path_params["owner"], request.path_params["name"].removesuffix(".git")
        repo = self._forge.world.repos.get(f"{owner}/{name}")
        if caller.user is None and (writing or repo is None or repo.private):
            raise RefusalError(401, "Unauthorized")
        if repo is None or not repo.allows(caller.user, "read"):
            raise RefusalError(404, "Repository not found")
        caller.need("write:repository" if writing else "read:repository")
        if writing and not repo.allows(caller.user, "write"):
            raise RefusalError(403, "User permission denied for writing.")
        return repo, caller.user

    async def _receive(self, request: Request, repo: Repo, user: User) -> Response:
        """Take a push; the answer is small, so it is held until the consequences are known to the forge."""
        async with repo.lock:
            try:
                status, headers, parts = await _Exchange(request, repo, user).run()
                body = b"".join([part async for part in parts])
            finally:
                await self._forge.refs_moved(repo, user)
        return Response(body, status, headers)


class _Exchange:
    """One request given to `git http-backend` and its answer."""

    def __init__(self, request: Request, repo: Repo, user: User | None) -> None:
        self._request = request
        self._repo = repo
        self._user = user

    async def respond(self) -> StreamingResponse:
        """Answer while git is still talking."""
        status, headers, parts = await self.run()
        return StreamingResponse(parts, status, headers)

    async def run(self) -> tuple[int, dict[str, str], AsyncIterator[bytes]]:
        """Start git and return its status, headers and body as it comes.

        It starts when the request is here whole: who answers a stream listens for the client's leaving, and would
        hear the rest of the request in git's place.
        """
        with tempfile.TemporaryFile() as given:
            await self._read_into(given)
            process = await asyncio.create_subprocess_exec(
                git_program(),
                "http-backend",
                env=git_environment() | self._cgi(),
                stdin=given,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        status, headers = await _head(process)
        return status, headers, _body(process)

    async def _read_into(self, given: IO[bytes]) -> None:
        async for chunk in self._request.stream():
            given.write(chunk)
        given.seek(0)

    def _cgi(self) -> dict[str, str]:
        request, headers = self._request, self._request.headers
        service = request.url.path.split("/", 3)[3]
        variables = {
            "GIT_PROJECT_ROOT": str(self._repo.git.path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{service}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": headers.get("content-type", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        optional = {
            "CONTENT_LENGTH": headers.get("content-length"),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding"),
            "GIT_PROTOCOL": headers.get("git-protocol"),
            "REMOTE_USER": None if self._user is None else self._user.login,
        }
        return variables | {name: value for name, value in optional.items() if value}


async def _head(process: asyncio.subprocess.Process) -> tuple[int, dict[str, str]]:
    if process.stdout is None:
        raise RuntimeError("the child was started without a pipe")
    status, headers = 200, {}
    while line := (await process.stdout.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return status, headers


async def _body(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    if process.stdout is None:
        raise RuntimeError("the child was started without a pipe")
    try:
        while chunk := await process.stdout.read(CHUNK_BYTES):
            yield chunk
    finally:
        if process.returncode is None and not process.stdout.at_eof():
            process.kill()
        await process.wait()
