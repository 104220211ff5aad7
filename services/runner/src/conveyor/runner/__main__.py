"""`python -m conveyor.runner --config conveyor.toml`."""

from conveyor.runner.app import start
from conveyor.runner.settings import Settings, grace_s
from conveyor.servicekit.lifecycle import service_main


def main() -> None:
    """Run the runner until it is told to stop."""
    service_main("runner", Settings, start, grace_s=grace_s)


if __name__ == "__main__":
    main()
