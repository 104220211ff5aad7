"""Writes what the demo's agent does into a folder, for images: `python -m conveyor.cli.demo.files FOLDER`."""

import sys
from pathlib import Path

from conveyor.cli.demo.configuration import script


def main() -> None:
    """Write `script.toml` into the folder named by the only argument."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "script.toml").write_text(script(), "utf-8")


if __name__ == "__main__":
    main()
