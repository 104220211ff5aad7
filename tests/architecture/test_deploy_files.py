"""Linters over what is neither Python nor prose: YAML, Dockerfiles, shell scripts. All come as ordinary packages."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.architecture import repository

SHELLS = ("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash", "#!/usr/bin/env sh")


def scripts() -> tuple[Path, ...]:
    """Every shell script, by its first line."""
    return tuple(
        path for path in repository.files() if path.read_bytes()[:40].decode("ascii", "replace").startswith(SHELLS)
    )


LINTED = {
    "yamllint": (
        ("--strict", "--format", "parsable"),
        [p for p in repository.files() if p.suffix in {".yaml", ".yml"}],
    ),
    "hadolint": (("--no-color",), [p for p in repository.files() if p.name.startswith("Dockerfile")]),
    "shellcheck": (("--format", "gcc"), scripts()),
}


@pytest.mark.parametrize("tool", LINTED)
def test_the_linter_finds_nothing(tool: str) -> None:
    program = Path(sysconfig.get_path("scripts")) / tool
    options, files = LINTED[tool]
    if not files:
        pytest.skip(f"there is nothing for {tool} here")
    assert program.exists(), f"{tool} is not installed: make install"
    done = subprocess.run(
        [str(program), *options, *map(str, files)], cwd=repository.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, "\n" + done.stdout + done.stderr
