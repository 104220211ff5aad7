"""A simulated server that runs as a process goes on after a stop where it was, as a real one does with its database."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import httpx

KEY = {"X-API-Key": "owner"}


async def stand(kind: str, *arguments: str) -> tuple[Process, dict[str, Any]]:
    """The process, once it serves, and what it says of itself."""
    command = (sys.executable, "-m", f"conveyor.simulator.{kind}", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


async def end(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_plane_keeps_its_issues_over_an_orderly_stop(tmp_path: Path) -> None:
    arguments = (f"--state={tmp_path / 'world'}", "--project=SHOP", "--owner-key=owner", "--bot-key=bot")
    arguments += ("--project-id=00000000-0000-4000-8000-000000000001",)
    plane, told = await stand("plane", *arguments)
    assert (told["owner_key"], told["bot_key"], told["project_id"][-1]) == ("owner", "bot", "1")
    async with httpx.AsyncClient(trust_env=False) as client:
        made = await client.post(f"{told['url']}/_sim/create_issue", json={"project": "SHOP", "name": "One"})
        assert made.json()["key"] == "SHOP-1"
        await end(plane)
        plane, told = await stand("plane", *arguments)
        place = f"{told['url']}/api/v1/workspaces/acme/projects/{told['project_id']}/work-items/"
        issues = (await client.get(place, headers=KEY)).json()["results"]
        assert [issue["name"] for issue in issues] == ["One"]
        made = await client.post(f"{told['url']}/_sim/create_issue", json={"project": "SHOP", "name": "Two"})
        assert made.json()["key"] == "SHOP-2"
    await end(plane)


async def test_gitea_keeps_pulls_and_branches_and_works_on(tmp_path: Path) -> None:
    arguments = (f"--state={tmp_path / 'world'}", f"--root={tmp_path / 'git'}", "--repository=acme/shop")
    arguments += ("--bot-token=t0ken", "--public-url=http://gitea.internal:3000")
    gitea, told = await stand("gitea", *arguments)
    assert told["url"] == "http://gitea.internal:3000"
    await end(gitea)
    arguments = arguments[:-1]
    gitea, told = await stand("gitea", *arguments)
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": "token t0ken"}) as client:
        place = f"{told['url']}/api/v1/repos/acme/shop"
        body = {"content": "aGk=", "message": "Say hi", "new_branch": "topic"}
        assert (await client.post(f"{place}/contents/hi.txt", json=body)).status_code == 201
        made = await client.post(f"{place}/pulls", json={"head": "topic", "base": "main", "title": "Hi"})
        assert made.status_code == 201
        await end(gitea)
        gitea, told = await stand("gitea", *arguments)
        place = f"{told['url']}/api/v1/repos/acme/shop"
        pull = (await client.get(f"{place}/pulls/1")).json()
        assert (pull["title"], pull["mergeable"]) == ("Hi", True)
        merged = await client.post(f"{place}/pulls/1/merge", json={"Do": "merge"})
        assert merged.status_code == 200, merged.text
    await end(gitea)
