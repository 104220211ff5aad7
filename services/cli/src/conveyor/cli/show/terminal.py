"""The terminal as commands print to it: what people wrote is shown as it is, brackets and colons included."""

from rich.console import Console


def terminal(*, soft_wrap: bool = False) -> Console:
    """Return the terminal. Nothing is read as markup: a title such as `[/b]` would be an error, and `[bug]` be gone."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)
