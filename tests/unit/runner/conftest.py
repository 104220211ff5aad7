"""The forge and the workspaces that the workspace tests stand on."""

from pathlib import Path

import pytest

from conveyor.runner.workspace import Workspaces
from tests.unit.runner.forge import Forge, plain_git


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "root", plain_git())
