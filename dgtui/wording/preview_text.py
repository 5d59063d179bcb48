"""What a restore would do, in words: short before the confirmation, whole for `--dry-run`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dgtui.engine.sizes import first_of
from dgtui.wording.problem_text import problem_lines
from dgtui.wording.words import counted, known_size, left_text, one_line, short_id, time_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from dgtui.engine.datasources.loading import Selection
    from dgtui.engine.model import Execution
    from dgtui.engine.preview import RestorePreview
    from dgtui.engine.restore_outlook import ObjectChange, RestoreOutlook

_WHAT = {"schema_only": "schema only", "data_only": "data only"}
_NAMES_SHOWN = 8
_WARNINGS_SHOWN = 3


def preview_lines(
    execution: "Execution", preview: "RestorePreview", selection: "Selection", *, storage: str | None
) -> list[str]:
    """What a restore is going to do, one line for each thing to know."""
    copies = ", ".join(preview.storages) or "no storage"
    kind = execution.backup_type if selection.backup_type == "full" else selection.backup_type
    what = _WHAT.get(kind, "everything")
    if selection.tables:
        what += f" of {', '.join(selection.tables)}"
    place = f"{preview.target} ({preview.label}, datasource {preview.datasource})"
    facts = [
        ("Restore", f"{execution.job} of {time_text(execution.started_at)}  [{short_id(execution.execution_id)}]"),
        ("From", storage or f"the first good copy of {copies}"),
        ("Into", f"{place}, which {_fate(preview, selection)}"),
        ("What", what),
        *effect_facts(preview),
    ]
    return [one_line(f"{name:<9}{text}") for name, text in facts]


def target_fact(preview: "RestorePreview", selection: "Selection") -> tuple[str, str]:
    """What becomes of the target."""
    return "Into", f"{preview.target} {_fate(preview, selection)}"


def effect_facts(preview: "RestorePreview") -> list[tuple[str, str]]:
    """What a restore would change, each with a short name."""
    how = [("How", preview.way_text)] if preview.way_text else []
    outlook = preview.outlook
    if outlook is None:
        return how + ([("Now", f"{preview.client_count} connected")] if preview.client_count else [])
    # The way takes many lines of a small terminal: what is lost stands before it, and is seen without scrolling.
    rows = rows_fact(outlook)
    told = warning_facts(outlook.backup_warnings, "backup", outlook.execution_id)
    told += _loss_facts(preview, outlook) + ([rows] if rows else [])
    return told + how + _outlook_facts(preview, outlook)


def _fate(preview: "RestorePreview", selection: "Selection") -> str:
    if not preview.replaces:
        if preview.way in ("rows", "beside") and preview.exists:
            return f"holds {counted(preview.object_count, 'objects')}, which stay"
        return "exists and is empty" if preview.exists else "will be made"
    size = "" if preview.size_bytes is None else f", {known_size(preview.size_bytes)}"
    held = f"holds {counted(preview.object_count, 'objects')}{size}"
    if selection.tables:
        return f"{held}: only what is chosen will be replaced"
    if preview.way == "part":
        return f"{held}: what the backup has goes over it, everything else stays"
    return f"{held}: everything in it will be replaced"


def _outlook_facts(preview: "RestorePreview", outlook: "RestoreOutlook") -> list[tuple[str, str]]:
    facts = []
    if outlook.newest_taken_at is not None:
        identity = short_id(outlook.newest_execution_id or "")
        facts.append(("Newer", f"there is a backup of {time_text(outlook.newest_taken_at)}  [{identity}]"))
    took = "not known: nothing comparable was restored yet"
    if outlook.expected_seconds is not None:
        took = f"about {left_text(outlook.expected_seconds)}, by the {outlook.expected_from} so far"
    facts.append(("Size", f"{known_size(outlook.size_bytes)}; time {took}"))
    if preview.client_count:
        who = [f"{client.user} {client.program or client.address}".strip() for client in outlook.clients]
        facts.append(("Now", f"{preview.client_count} connected: {_few(who)}"))
    facts += [("Along", name) for name in outlook.comes_along]
    facts += [("Note", note) for note in outlook.notes]
    return facts + _role_facts(outlook)


def warning_facts(warnings: Sequence[str], what: str, execution_id: str) -> list[tuple[str, str]]:
    """What the backup that is to be restored has warned of."""
    facts = [("Warning", f"the {what} ended with: {text}") for text in warnings[:_WARNINGS_SHOWN]]
    more = len(warnings) - _WARNINGS_SHOWN
    if more > 0:
        facts.append(("Warning", f"and with {more} more: dgtui show {short_id(execution_id)}"))
    return facts


def _loss_facts(preview: "RestorePreview", outlook: "RestoreOutlook") -> list[tuple[str, str]]:
    filled = [entry.name for entry in outlook.objects if entry.side == "both" and entry.target_rows != 0]
    rows = [("Lost", f"the rows that are there now in {_few(filled)}")] if preview.way == "rows" and filled else []
    if not preview.replaces:
        return rows
    seconds = outlook.overwritten_seconds
    when = f"{left_text(seconds)} ago" if seconds >= 0 else "which is still to come by this clock"
    since = f"what was written since {time_text(outlook.taken_at)} ({when})"
    return [
        ("Lost", since if outlook.rows_come else "every row of what is replaced: the structure alone comes back"),
        *(
            (head, _few(names))
            for head, names in (
                ("Comes", outlook.named("only in the backup")),
                ("Goes", outlook.named("only in the target")),
            )
            if names
        ),
        *rows,
    ]


def rows_fact(outlook: "RestoreOutlook") -> tuple[str, str] | None:
    """How many rows the objects have that are on both sides; None where that is not known of a single one."""
    both = [entry for entry in outlook.objects if entry.side == "both"]
    known = [entry for entry in both if entry.other_rows != "unknown"]
    if not known:
        return None
    exact = len(known) == len(both) and all(entry.backup_rows_exact and entry.target_rows_exact for entry in known)
    now = _rows(sum(entry.target_rows or 0 for entry in known), exact=exact, there=True)
    then = _rows(sum(entry.backup_rows or 0 for entry in known), exact=exact, there=True)
    text = f"{now} there now, {then} in the backup; {_difference(known)}"
    return "Rows", f"{text}; of {len(both) - len(known)} more they are not known" if len(known) < len(both) else text


def _difference(known: "Sequence[ObjectChange]") -> str:
    changed, perhaps = (sum(entry.other_rows == answer for entry in known) for answer in ("yes", "perhaps"))
    of_all = f"of {len(known)} object{'' if len(known) == 1 else 's'}"
    verb = "has" if len(known) == 1 else "have"
    alike = "may have the same, by estimate"
    if not changed and perhaps:
        return f"{perhaps} {of_all} {alike}"
    told = f"{changed} {of_all} {verb} other numbers"
    return f"{told}, {perhaps} {alike}" if perhaps else told


def _role_facts(outlook: "RestoreOutlook") -> list[tuple[str, str]]:
    missing = outlook.missing_roles
    facts = [
        ("Missing", f"{what}: {_few(names)}")
        for what, names in (
            ("owners that this server does not have", missing.owners),
            ("roles with grants that this server does not have", missing.grantees),
            ("what is for them and left out", missing.left_out),
            ("definers that this server does not have", missing.definers),
        )
        if names
    ]
    if not missing.definers_known:
        facts.append(("Missing", "definers were not looked for: the backup is too large to be read for them"))
    return facts


def dry_run_lines(preview: "RestorePreview", given: "Collection[str]" = ()) -> list[str]:
    """What the short form leaves out: every object, and what stands against the restore, or which options it lacks
    beside the given ones."""
    outlook = preview.outlook
    if outlook is None:
        return []
    lines = ["", f"{'Rows now':>14}  {'In the backup':>14}  Object"] if outlook.objects else []
    lines += [f"{now:>14}  {then:>14}  {entry.name}" for entry in outlook.objects for now, then in [object_rows(entry)]]
    lines += [f"Will belong to the user that restores: {what}" for what in outlook.missing_roles.ownerless]
    ends = cannot_work_lines(preview) or [_what_it_needs(preview, outlook, given)]
    return [one_line(line) for line in (*lines, "", *ends)]


def cannot_work_lines(preview: "RestorePreview") -> list[str]:
    """Why the restore would be refused; nothing where it would not."""
    problem = preview.outlook.problem if preview.outlook is not None else None
    return problem_lines(problem, label="This restore cannot work") if problem is not None else []


def _what_it_needs(preview: "RestorePreview", outlook: "RestoreOutlook", given: "Collection[str]") -> str:
    needed = ["--overwrite"] if preview.replaces and "--overwrite" not in given else []
    if outlook.missing_roles.costs_something and "--without-roles" not in given:
        needed.append("with --yes also --without-roles" if needed else "with --yes --without-roles")
    return "Nothing was changed" + (f". The restore itself needs {', '.join(needed)}" if needed else "")


def object_rows(entry: "ObjectChange") -> tuple[str, str]:
    """How many rows an object has in the target now, and in the backup."""
    now = _rows(entry.target_rows, exact=entry.target_rows_exact, there=entry.side != "only in the backup")
    then = _rows(entry.backup_rows, exact=entry.backup_rows_exact, there=entry.side != "only in the target")
    return now, then


def _rows(rows: int | None, *, exact: bool, there: bool) -> str:
    if not there:
        return "not there"
    return "?" if rows is None else f"{'' if exact else '~'}{rows:,}"


def _few(names: Sequence[str]) -> str:
    return first_of(names, _NAMES_SHOWN)
