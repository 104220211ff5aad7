"""Every request captured from a real Plane 1.3.1 is answered as it was answered there."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fidelity.plane_story import CASES, Story
from tests.fidelity.targets import REAL, SIMULATOR, plane_target


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[SIMULATOR, REAL])
async def story(request: pytest.FixtureRequest) -> AsyncIterator[Story]:
    async with plane_target(request.param) as target:
        story = Story(target)
        try:
            await story.walk()
        finally:
            await story.close()
        yield story


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [case["name"] for case in CASES])
def test_a_captured_request_is_answered_as_it_was(story: Story, name: str) -> None:
    if why := story.skipped.get(name):
        pytest.skip(why)
    assert story.found[name] == []
