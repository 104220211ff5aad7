"""`python -m conveyor.reconciler --config conveyor.toml [--once | --dry-run]`: finds what webhooks lost."""

import argparse
import sys

from conveyor.reconciler.app import Mode, started
from conveyor.reconciler.settings import Settings
from conveyor.servicekit.lifecycle import service_main


def main(arguments: list[str]) -> None:
    """Run the reconciler; its own two flags are read here, the rest is every service's."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    own, rest = parser.parse_known_args(arguments)
    service_main("reconciler", Settings, started(Mode(once=own.once, dry_run=own.dry_run)), rest)


if __name__ == "__main__":
    main(sys.argv[1:])
