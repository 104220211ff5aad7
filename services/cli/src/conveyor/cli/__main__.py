"""The entry point of `conveyor`."""

from conveyor.cli.app import build


def main() -> None:
    """Run the command line; its exit codes stand in `conveyor --help`."""
    build()()


if __name__ == "__main__":
    main()
