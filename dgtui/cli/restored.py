"""`restores`: the restores that were made, and what came back in each."""

from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.options import LIST_LIMIT, AsJson, Limit
from dgtui.cli.output import print_data, print_json, print_json_rows, say, say_how_many_more
from dgtui.wording.words import one_line, short_id, time_text

if TYPE_CHECKING:
    from dgtui.engine.model import ObjectReport, Restore


def restores(
    restore: Annotated[
        str | None, typer.Argument(metavar="[RESTORE]", help="One, whole; by the first characters of its id.")
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the restores, the newest first, or show all of one."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        if restore is not None:
            found = engine.restore(restore)
            if as_json:
                print_json(found)
                return
            for line in restore_lines(found):
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


def restore_lines(row: "Restore") -> list[str]:
    """All that is known of a restore."""
    from dgtui.wording.problem_text import problem_lines
    from dgtui.wording.words import took_text

    took = "" if row.finished_at is None else f", {took_text((row.finished_at - row.started_at).total_seconds())}"
    what = {"schema_only": "schema only", "data_only": "data only"}.get(row.backup_type, "everything")
    facts = [
        ("Restore", row.restore_id),
        ("Status", f"{row.status}{took}"),
        ("Backup", f"{row.execution_id} from {row.storage or 'no copy yet'}"),
        ("Into", f"{row.target} ({row.datasource})"),
        ("What", f"{what} of {', '.join(row.tables)}" if row.tables else what),
        ("Merged", "into what was there" if row.merged else ""),
        ("Begun", time_text(row.started_at)),
        ("By", f"{row.restored_by} from {row.origin}" if row.origin else row.restored_by),
        ("Reason", row.reason),
        ("Kept as", row.kept_as or row.part_kept_as or ""),
        ("Saved as", row.safety_execution_id or ""),
    ]
    lines = [one_line(f"{name:<9}{text}") for name, text in facts if text]
    if row.problem is not None:
        lines += ["", *problem_lines(row.problem)]
    if row.differences:
        lines += ["", *(one_line(f"Difference: {text}") for text in row.differences)]
    return lines + _report_lines(row)


def _report_lines(row: "Restore") -> list[str]:
    report = row.report
    if report is None:
        return []
    lines = ["", f"{'Expected':>12}  {'Found':>12}  {'Content':<12}  {'Outcome':<13}  Object"] if report.objects else []
    lines += [_object_line(entry) for entry in report.objects]
    if report.failure_count:
        lines += ["", f"{report.failure_count} statements failed; the first ones:"]
    for failure in report.failures:
        lines.append(one_line(failure.message))
        if failure.statement:
            lines.append(f"    {one_line(failure.statement)}")
    return lines


def _object_line(entry: "ObjectReport") -> str:
    about = "" if entry.rows_exact else "~"
    expected = "-" if entry.rows_expected is None else f"{about}{entry.rows_expected:,}"
    found = "-" if entry.rows_found is None else f"{entry.rows_found:,}"
    return f"{expected:>12}  {found:>12}  {entry.content:<12}  {entry.outcome:<13}  {one_line(entry.name)}"
