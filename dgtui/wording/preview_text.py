"""What a restore would do, in words: short before the confirmation, whole for `--dry-run`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dgtui.wording.problem_text import problem_lines
from dgtui.wording.words import known_size, left_text, one_line, short_id, time_text

if TYPE_CHECKING:
    from dgtui.engine.datasources.base import Selection
    from dgtui.engine.model import Execution
    from dgtui.engine.preview import RestorePreview
    from dgtui.engine.restore_outlook import ObjectChange, RestoreOutlook

_NAMES_SHOWN = 8


def preview_lines(
    execution: "Execution", preview: "RestorePreview", selection: "Selection", *, storage: str | None
) -> list[str]:
    """What a restore is going to do, one line for each thing to know."""
    copies = ", ".join(copy.storage for copy in execution.copies if copy.path)
    what = {"full": "everything", "schema_only": "schema only", "data_only": "data only"}[selection.backup_type]
    if selection.tables:
        what += f" of {', '.join(selection.tables)}"
    place = f"{preview.target} ({preview.label}, datasource {preview.datasource})"
    lines = [
        f"Restore  {execution.job} of {time_text(execution.started_at)}  [{short_id(execution.execution_id)}]",
        f"From     {storage or f'the first good copy of {copies}'}",
        f"Into     {place}, which {_fate(preview, selection)}",
        f"What     {what}",
    ]
    if preview.way_text:
        lines.append(f"How      {preview.way_text}")
    outlook = preview.outlook
    if outlook is not None:
        lines += _outlook_lines(preview, outlook)
    elif preview.client_count:
        lines.append(f"Now      {preview.client_count} connected")
    return [one_line(line) for line in lines]


def _fate(preview: "RestorePreview", selection: "Selection") -> str:
    if not preview.replaces:
        if preview.way == "rows" and preview.exists:
            return f"holds {preview.object_count} objects, which stay"
        return "exists and is empty" if preview.exists else "will be made"
    size = "" if preview.size_bytes is None else f", {known_size(preview.size_bytes)}"
    held = f"holds {preview.object_count} objects{size}"
    if selection.tables:
        return f"{held}: only what is chosen will be replaced"
    return f"{held}: everything in it will be replaced"


def _outlook_lines(preview: "RestorePreview", outlook: "RestoreOutlook") -> list[str]:
    lines = []
    if preview.replaces:
        lines.append(
            f"Lost     what was written since {time_text(outlook.taken_at)} "
            f"({left_text(outlook.overwritten_seconds)} ago)"
        )
        lines += [
            f"{head} {_few(names)}"
            for head, names in (
                ("Comes   ", outlook.named("only in the backup")),
                ("Goes    ", outlook.named("only in the target")),
            )
            if names
        ]
    if outlook.newest_taken_at is not None:
        identity = short_id(outlook.newest_execution_id or "")
        lines.append(f"Newer    there is a backup of {time_text(outlook.newest_taken_at)}  [{identity}]")
    took = "not known: nothing comparable was restored yet"
    if outlook.expected_seconds is not None:
        took = f"about {left_text(outlook.expected_seconds)}, by the {outlook.expected_from} so far"
    lines.append(f"Size     {known_size(outlook.size_bytes)}; time {took}")
    if preview.client_count:
        who = [f"{client.user} {client.program or client.address}".strip() for client in outlook.clients]
        lines.append(f"Now      {preview.client_count} connected: {_few(who)}")
    lines += [f"Along    {name}" for name in outlook.comes_along]
    lines += [f"Note     {note}" for note in outlook.notes]
    return lines + _role_lines(outlook)


def _role_lines(outlook: "RestoreOutlook") -> list[str]:
    missing = outlook.missing_roles
    lines = [
        f"Missing  {what}: {_few(names)}"
        for what, names in (
            ("owners that this server does not have", missing.owners),
            ("roles with grants that this server does not have", missing.grantees),
            ("grants that are left out", missing.left_out),
            ("definers that this server does not have", missing.definers),
        )
        if names
    ]
    if not missing.definers_known:
        lines.append("Missing  definers were not looked for: the backup is too large to be read for them")
    return lines


def dry_run_lines(preview: "RestorePreview") -> list[str]:
    """What the short form leaves out: every object, and what stands against the restore."""
    outlook = preview.outlook
    if outlook is None:
        return []
    lines = ["", f"{'Rows now':>14}  {'In the backup':>14}  Object"] if outlook.objects else []
    lines += [_object_line(entry) for entry in outlook.objects]
    if outlook.problem is not None:
        lines += ["", *problem_lines(outlook.problem, label="This restore cannot work")]
    elif preview.replaces:
        lines += ["", "Nothing was changed. The restore itself needs --overwrite"]
    else:
        lines += ["", "Nothing was changed"]
    return [one_line(line) for line in lines]


def _object_line(entry: "ObjectChange") -> str:
    now = _rows(entry.target_rows, exact=entry.target_rows_exact, there=entry.side != "only in the backup")
    then = _rows(entry.backup_rows, exact=entry.backup_rows_exact, there=entry.side != "only in the target")
    return f"{now:>14}  {then:>14}  {entry.name}"


def _rows(rows: int | None, *, exact: bool, there: bool) -> str:
    if not there:
        return "not there"
    return "?" if rows is None else f"{'' if exact else '~'}{rows:,}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
