"""Options and arguments that several commands share."""

from typing import Annotated

import typer

from dgtui.engine.errors import ConfigError

Execution = Annotated[
    str,
    typer.Argument(
        metavar="EXECUTION",
        help="The first characters of its id, JOB@latest, or JOB@2025-02-13_060001",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
MessagesAsJson = Annotated[bool, typer.Option("--json", help="Print the run's messages on stdout, one JSON a line.")]
LIST_LIMIT = 100
"""How many rows a list shows where nobody asked for more; as JSON it has all of them."""
MOST_ROWS = 10**9
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        min=1,
        max=MOST_ROWS,
        help=f"Only so many, the newest ones; else {LIST_LIMIT}, as JSON all.",
    ),
]
SchemaOnly = Annotated[bool, typer.Option("--schema-only", help="Only the definitions, no data.")]
DataOnly = Annotated[bool, typer.Option("--data-only", help="Only the data, no definitions.")]
InPlace = Annotated[
    bool,
    typer.Option("--in-place", help="Empty and fill what cannot be swapped; a cut in that lasts until the next start."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def refuse_both(first: bool, first_name: str, second: bool, second_name: str) -> None:
    """Raise ConfigError where two options that exclude each other were given."""
    if first and second:
        raise ConfigError(f"{first_name} and {second_name} exclude each other", hint="Leave one of them out")
