"""A restore that was made, in words: all of it, and what can be done next."""

from typing import TYPE_CHECKING

from dgtui.engine.model import ENDED
from dgtui.engine.restore_traces import cleanup_command, finish_command, kept_name, left_behind
from dgtui.wording.problem_text import problem_lines
from dgtui.wording.words import counted, one_line, short_id, time_text, took_text

if TYPE_CHECKING:
    from dgtui.engine.restore_model import ObjectReport, Restore

_WHAT = {"schema_only": "schema only", "data_only": "data only"}


def restored_lines(row: "Restore", next_steps: list[str], undone: "Restore | None" = None) -> list[str]:
    """All that is known of a restore, by which other one it was `undone`, and what can be done next."""
    lines = [one_line(f"{name:<9}{text}") for name, text in restored_facts(row, undone) if text]
    if row.problem is not None:
        lines += ["", *problem_lines(row.problem)]
    lines += ["", *(one_line(f"Next     {step}") for step in next_steps)] if next_steps else []
    told = [*(f"Warning: {text}" for text in row.warnings), *(f"Difference: {text}" for text in row.differences)]
    lines += ["", *map(one_line, told)] if told else []
    return lines + _report_lines(row)


def restored_facts(row: "Restore", undone: "Restore | None" = None) -> list[tuple[str, str]]:
    """Who, when, why, from where, into what, and what is kept; a text is empty where there is nothing to tell."""
    took = "" if row.seconds is None or row.by_hand else f", {took_text(row.seconds)}"
    what = _WHAT.get(row.backup_type, "everything")
    none_yet = "no copy" if row.status in ENDED else "no copy yet"
    copy = "" if row.by_hand else f" from {row.storage or none_yet}"
    source = f"{row.execution_id}{copy}" if row.execution_id and not _is_swapped_back(row) else ""
    return [
        ("Restore", row.restore_id),
        ("Status", f"{row.status}{took}"),
        ("Undo of", row.undo_of or ""),
        ("Backup", source),
        ("Into", f"{row.target} ({row.datasource})"),
        ("What", f"{what} of {', '.join(row.tables)}" if row.tables else what),
        ("How", way_words(row, undone)),
        ("Merged", "into what was there" if row.merged else ""),
        ("Begun", time_text(row.started_at)),
        ("By", f"{row.restored_by} from {row.origin}" if row.origin else row.restored_by),
        ("Reason", row.reason),
        ("Kept as", kept_words(row)),
        ("Saved as", row.safety_execution_id or ""),
        ("Left", ", ".join(left_behind(row)) if row.status in ENDED else ""),
    ]


def way_words(row: "Restore", undone: "Restore | None" = None) -> str:
    """How the new content came to its place, or by which restore it was taken back; empty where it did not come."""
    if undone is not None:
        return f"undone by {short_id(undone.restore_id)}"
    if row.partly_filled:
        return "being filled in its own place: it holds only a part"
    ways = (
        (row.by_hand, "by hand, without this program"),
        (_is_swapped_back(row), "what was kept was swapped in again"),
        (row.merged, "put over what was there"),
        (row.backup_type == "data_only", "rows were loaded into the tables that were there"),
        (row.part is not None, "only what was chosen was exchanged"),
        (row.kept_as is not None or row.dropped_at is not None, "swapped in"),
        (row.safety_execution_id is not None, "put in place after a safety backup"),
    )
    if not row.took_effect:
        return ""
    return next((words for holds, words in ways if holds), "into a place that held nothing")


def replaced_too(later: int, target: str) -> str:
    """What an undo puts away besides what its restore had brought."""
    return f"{counted(later, 'later restores')} into {target} {'is' if later == 1 else 'are'} replaced as well"


def _is_swapped_back(row: "Restore") -> bool:
    """Whether it put back what was kept: the safety backup that it names was not read then."""
    return row.undo_of is not None and row.took_effect and row.storage is None


def kept_words(row: "Restore") -> str:
    """What of the former content is kept beside the target, and until when."""
    name = kept_name(row)
    if name is not None:
        return name + (f" until {time_text(row.kept_until)}" if row.kept_until is not None else "")
    return f"nothing: it was dropped {time_text(row.dropped_at)}" if row.dropped_at is not None else ""


def can_be_undone(row: "Restore") -> bool:
    """Whether there is something to put back, as far as the record alone can tell."""
    return row.partly_filled or (
        row.took_effect and (kept_name(row) is not None or row.safety_execution_id is not None)
    )


def commands_next(row: "Restore", undone: "Restore | None" = None) -> list[str]:
    """What can be done next, with the commands."""
    short = short_id(row.restore_id)
    undo = "" if undone is not None else f"dgtui undo {short}"
    return _next_steps(row, undo, cleanup_command(row), f"dgtui drop-replaced {short}", finish_command(row))


def keys_next(row: "Restore", undone: "Restore | None" = None) -> list[str]:
    """What can be done next, with the keys of the screens."""
    return _next_steps(row, "" if undone is not None else "u", "c", "x", "c")


def _next_steps(row: "Restore", undo: str, clean_up: str, drop: str, finish: str) -> list[str]:
    if row.status not in ENDED:
        return []
    steps = []
    if row.partly_filled:
        steps.append(f"put back what {row.target} held, it is only partly filled: {undo}")
        steps.append(f"or import the backup once more, to its end: {finish}")
    elif undo and can_be_undone(row):
        steps.append(f"undo it {'at once' if kept_name(row) is not None else 'from the safety backup'}: {undo}")
    if row.placing is not None and not row.partly_filled:
        settled = row.placing.mark is None
        steps.append(f"{'remove what it left' if settled else 'find out which content is in place'}: {clean_up}")
    return [*steps, f"drop what is kept: {drop}"] if kept_name(row) is not None else steps


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
