"""`restores`: the restores that were made, and what came back in each."""

from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.options import LIST_LIMIT, AsJson, Limit
from dgtui.cli.output import print_data, print_json, print_json_rows, say, say_how_many_more
from dgtui.wording.words import one_line, short_id, time_text

if TYPE_CHECKING:
    from dgtui.engine.restore_model import Restore


def restores(
    restore: Annotated[
        str | None, typer.Argument(metavar="[RESTORE]", help="One, whole; by the first characters of its id.")
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the restores, the newest first, or show all of one."""
    from dgtui.cli.watch import open_beside_mistakes
    from dgtui.engine.restore_traces import undone_by
    from dgtui.wording.restored_text import commands_next, restored_lines

    with open_beside_mistakes() as engine:
        if restore is not None:
            found = engine.restore(restore)
            if as_json:
                print_json(found)
                return
            undone = undone_by(found, engine.restores())
            for line in restored_lines(found, commands_next(found, undone), undone):
                print_data(line)
            return
        rows = engine.restores(limit=limit if as_json else limit or LIST_LIMIT)
        total = engine.restore_count()
    if as_json:
        print_json_rows(rows)
    elif rows:
        for line in _list_lines(rows):
            print_data(line)
        if limit is None:
            say_how_many_more(len(rows), total)
    else:
        say("No restores. Make one with: dgtui restore EXECUTION")


def _list_lines(rows: "list[Restore]") -> list[str]:
    from dgtui.cli.looking import output_width
    from dgtui.cli.table import table_lines

    cells = [
        (
            short_id(row.restore_id),
            time_text(row.started_at),
            short_id(row.execution_id) or "-",
            one_line(row.target),
            row.status,
            one_line(row.restored_by),
            one_line(row.reason),
        )
        for row in rows
    ]
    headers = ("ID", "Begun", "Backup", "Into", "Status", "By", "Reason")
    return table_lines(headers, cells, width=output_width())
