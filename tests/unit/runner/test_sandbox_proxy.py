"""Allowed hosts: which are meant, and that nothing else is reached from inside."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from conveyor.runner.sandbox import SandboxSettings
from conveyor.runner.sandbox.proxy import is_allowed, serving
from conveyor.runner.workspace import Workspaces
from tests.unit.runner.forge import Forge, request_for
from tests.unit.runner.inside import Inside, needs_bubblewrap

ALLOWED = ("api.anthropic.com", "*.npmjs.org", "git.example:8443")


@pytest.mark.parametrize(
    ("host", "port", "wanted"),
    [
        ("api.anthropic.com", 443, True),
        ("API.Anthropic.com.", 443, True),
        ("api.anthropic.com", 80, False),
        ("evil.api.anthropic.com", 443, False),
        ("api.anthropic.com.evil.org", 443, False),
        ("registry.npmjs.org", 443, True),
        ("a.b.npmjs.org", 443, True),
        ("npmjs.org", 443, False),
        ("evilnpmjs.org", 443, False),
        (".npmjs.org", 443, False),
        ("git.example", 8443, True),
        ("git.example", 443, False),
        ("", 0, False),
    ],
)
def test_only_what_is_named_is_allowed(host: str, port: int, wanted: bool) -> None:
    assert is_allowed(host, port, ALLOWED) == wanted


_ASK = """
import os, socket, sys
assert os.environ['HTTPS_PROXY'] == os.environ['https_proxy'] == 'http://127.0.0.1:3128'
def ask(target, method='CONNECT'):
    with socket.create_connection(('127.0.0.1', 3128), 5) as s:
        s.sendall(f'{method} {target} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'.encode())
        head = s.recv(4096).decode()
        if ' 200 ' in head:
            s.sendall(b'x' * 300_000); s.shutdown(socket.SHUT_WR)
            got = b''
            while chunk := s.recv(65536): got += chunk
            return f'200 {len(got)}'
        return head.split(' ', 1)[1].partition('\\r')[0]
"""


@needs_bubblewrap
@pytest.mark.behaviour("RU-12")
async def test_an_agent_reaches_the_allowed_host_and_no_other(
    tmp_path: Path, forge: Forge, workspaces: Workspaces
) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    workspace = await workspaces.prepare(request_for(forge))
    code = f"""{_ASK}
print(ask('127.0.0.1:{port}'))
print(ask('127.0.0.1:{port + 1}'))
print(ask('example.org:443'))
print(ask('http://127.0.0.1:{port}/', 'GET'))
try: socket.create_connection(('127.0.0.1', {port}), 2); print('past the proxy')
except OSError: print('no other way')
"""
    settings = SandboxSettings(mode="bubblewrap", network="hosts", hosts=(f"127.0.0.1:{port}",))
    inside = Inside(tmp_path / "root", settings)
    try:
        ended, said = await inside.python(workspace, code)
    finally:
        server.close()
    assert ended.code == 0, said
    assert said.splitlines() == ["200 300000", "403 Forbidden", "403 Forbidden", "403 Forbidden", "no other way"]
    assert any("example.org:443" in line for line in inside.said), "the run's log tells what was refused"


async def test_a_host_that_never_hangs_up_holds_nothing_of_a_run_that_is_over(tmp_path: Path) -> None:
    hung_up = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(1):
                pass
            await asyncio.sleep(0)
        await hung_up.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    before = asyncio.all_tasks()
    async with serving(tmp_path / "proxy", (f"127.0.0.1:{port}",), lambda _: None):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "proxy")
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
    async with asyncio.timeout(5):
        assert await reader.read() == b"", "what was open is cut"
    writer.close()
    hung_up.set()
    server.close()
    ours = [task for task in asyncio.all_tasks() - before if "silent" not in repr(task)]
    assert ours == []
