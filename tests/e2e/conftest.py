"""Images are built once for all tests here; without an engine each test is skipped with the reason."""

from collections.abc import Iterator

import pytest

from tests.rigs.containers import COMPOSE, DEMO, Engine, NoEngineError, Stack, ground


@pytest.fixture(scope="session")
def engine() -> Engine:
    try:
        return Engine.find()
    except NoEngineError as error:
        pytest.skip(f"no Docker engine: {error}")


@pytest.fixture(scope="session")
def variables(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    try:
        return ground(engine, tmp_path_factory.mktemp("nats-image"))
    except NoEngineError as error:
        pytest.skip(f"no base image: {error}")


@pytest.fixture(scope="session")
def images(engine: Engine, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of the compose files, once every image they name is built from the checkout."""
    configuration = tmp_path_factory.mktemp("configuration") / "conveyor.toml"
    configuration.write_text("")
    given = {**variables, "CONVEYOR_CONFIG_FILE": str(configuration)}
    Stack(engine, "conveyor-build", (COMPOSE,), given).build()
    Stack(engine, "conveyor-build", (COMPOSE, DEMO), variables).build("runner")
    return variables


@pytest.fixture
def demo(engine: Engine, images: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The demo's stack, not yet up; nothing of it is left after the test. A marker `overlay` adds files."""
    name = f"conveyor-{request.node.name.replace('_', '-')[:40]}"
    overlay = request.getfixturevalue("overlay") if "overlay" in request.fixturenames else ()
    stack = Stack(engine, name, (COMPOSE, DEMO, *overlay), images)
    stack.close()  # what an interrupted test left
    yield stack
    stack.close()
