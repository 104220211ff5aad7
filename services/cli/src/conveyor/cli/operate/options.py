"""The arguments and options that operators' commands share, each with its help text."""

from typing import Annotated

import typer

from conveyor.contracts.ids import is_key


def _checked(key: str) -> str:
    if not is_key(key):
        raise typer.BadParameter(f"expected a key such as SHOP-12, not {key!r}")
    return key


KeyArgument = Annotated[
    str,
    typer.Argument(metavar="KEY", callback=_checked, help="The issue's key, such as SHOP-12.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
As = Annotated[
    str,
    typer.Option("--as", metavar="NAME", help="In whose name; default: the user of this machine.", show_default=False),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for what comes of it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is told to the agent and on the issue.")]
