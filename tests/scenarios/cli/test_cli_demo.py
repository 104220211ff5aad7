"""The scenario everything rests on: one task from To Analyse to done, by real services over a real bus."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

DEMO_S = 110.0


@pytest.mark.behaviour("OP-3")
@pytest.mark.timeout(120)
async def test_the_demo_carries_one_task_to_done(tmp_path: Path) -> None:
    """A question is answered, a lost approval repaired, a rejection rolled back once, the work merged for real."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "conveyor.cli", "demo", "--folder", str(tmp_path), "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEMO_S):
        out, err = await process.communicate()
    assert process.returncode == 0, f"{out.decode()}\n{err.decode()}"
    *lines, summary = (msgspec.json.decode(line) for line in out.splitlines())
    assert_story(lines)
    assert summary["runs"] == 9
    assert summary["rollbacks"] == 1
    assert summary["webhooks_dropped"] == 1
    assert summary["repaired"] == 1
    assert_merged(tmp_path, summary)


def assert_story(lines: list[dict[str, Any]]) -> None:
    kinds = [line["kind"] for line in lines]
    assert kinds.index("lost") < kinds.index("repaired")
    stages = [line["who"] for line in lines if line["kind"] in {"stage", "repaired"}]
    order = [stage for stage, before in zip(stages, ["", *stages], strict=False) if stage != before]
    assert order == [
        "analysis",
        "architecture",
        "development",
        "review",
        "development",
        "review",
        "testing",
        "deploy",
        "done",
    ]


def assert_merged(folder: Path, summary: dict[str, Any]) -> None:
    (bare,) = folder.glob("*/gitea/acme/shop.git")
    head = subprocess.run(
        ["git", "-C", str(bare), "rev-parse", "main"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert head == summary["merge_sha"]
    source = subprocess.run(
        ["git", "-C", str(bare), "show", "main:src/shop.py"], capture_output=True, text=True, check=True
    ).stdout
    assert 'if name else "Welcome!"' in source
