"""`python -m conveyor.stage_engine --config conveyor.toml`."""

from conveyor.servicekit.lifecycle import service_main
from conveyor.stage_engine.app import start
from conveyor.stage_engine.settings import Settings


def main() -> None:
    """Run the stage-engine until it is told to stop."""
    service_main("stage-engine", Settings, start)


if __name__ == "__main__":
    main()
