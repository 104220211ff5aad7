"""Writes the examples in deploy/ that say what can be set, from the settings themselves: `make examples`."""

from pathlib import Path

from conveyor.cli.setup import environment, sample
from conveyor.cli.setup.fields import sections

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
EXAMPLES = {
    DEPLOY / "env.example": environment.written,
    DEPLOY / "conveyor.toml.example": sample.written,
}
"""Each file and what makes its text."""


def main() -> None:
    """Write every example anew."""
    for path, written in EXAMPLES.items():
        path.write_text(written(sections()), encoding="utf-8")


if __name__ == "__main__":
    main()
