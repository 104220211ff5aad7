"""A task to tell stories about."""

import pytest

from tests.unit.stage_engine.story import Story


@pytest.fixture
def story() -> Story:
    """A task of the default pipeline that has not begun; its verbs drive it."""
    return Story()
