"""Comparing what a restore brought back with what the manifest says was backed up."""

from collections.abc import Mapping, Sequence

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.model import ObjectInfo, Record, Share
from dgtui.engine.restore_model import ObjectReport

_USUAL_ERROR = 0.5
"""How far from the truth the row counts of InnoDB's own statistics usually are at most (its manual: 40 to 50 %)."""


class Comparison(Record, frozen=True):
    """What differs between a backup and what was restored from it."""

    missing: tuple[str, ...] = ()
    """Objects of the backup that are not there."""
    additional: tuple[str, ...] = ()
    """Objects that the backup does not name."""
    wrong_rows: tuple[str, ...] = ()
    """Objects whose rows were counted at the moment of the dump and are not as many now, each as a sentence."""
    estimated_rows: tuple[str, ...] = ()
    """Objects whose rows were only estimated and differ by more than estimates do, each as a sentence."""
    objects: tuple[ObjectReport, ...] = ()
    """Every object of the backup that was to be restored."""

    @property
    def whole(self) -> bool:
        """Whether everything that is surely known agrees."""
        return not self.missing and not self.wrong_rows

    @property
    def sentences(self) -> tuple[str, ...]:
        """All differences for people."""
        return (
            *(f"{name} is missing" for name in self.missing),
            *(f"{name} is not in the backup's list" for name in self.additional),
            *self.wrong_rows,
            *self.estimated_rows,
        )


def compare_objects(
    expected: Sequence[ObjectInfo], found: Sequence[ObjectInfo], selection: Selection, backup_type: str
) -> Comparison:
    """Compare the objects of a manifest with those of a database.

    `backup_type` is what the backup holds; with `schema_only` on either side rows are not compared.
    """
    wanted = {entry.name: entry for entry in expected if is_selected(entry.name, selection.tables)}
    present = {entry.name: entry for entry in found}
    compare_rows = "schema_only" not in (selection.backup_type, backup_type)
    wrong: list[str] = []
    estimated: list[str] = []
    elsewhere = _in_other_shares(wanted, present)
    for name in (wanted.keys() & present.keys()) - elsewhere if compare_rows else ():
        before, after = wanted[name], present[name]
        if before.rows is None or after.rows is None or before.rows == after.rows:
            continue
        sentence = f"{name} has {after.rows} rows, the backup says {'' if before.rows_exact else 'about '}{before.rows}"
        if before.rows_exact and after.rows_exact:
            wrong.append(sentence)
        elif not may_be_equal(before.rows, after.rows):
            estimated.append(sentence)
    return Comparison(
        missing=tuple(sorted(wanted.keys() - present.keys())),
        # What chosen tables need, and the partitions of one, are there without being chosen.
        additional=tuple(sorted(present.keys() - {entry.name for entry in expected})),
        wrong_rows=tuple(sorted(wrong)),
        estimated_rows=tuple(sorted(estimated)),
        objects=tuple(
            _report(wanted[name], present.get(name), compare_rows=compare_rows and name not in elsewhere)
            for name in sorted(wanted)
        ),
    )


def _in_other_shares(wanted: Mapping[str, ObjectInfo], present: Mapping[str, ObjectInfo]) -> set[str]:
    """The parts of tables that were divided up in another way, and have as many rows as before taken together."""
    tables: dict[str, list[str]] = {}
    for entry in present.values():
        if isinstance(entry, Share):
            tables.setdefault(entry.of, []).append(entry.name)
    return {
        name
        for names in tables.values()
        if wanted.keys() >= set(names) and _as_many([wanted[name] for name in names], [present[name] for name in names])
        for name in names
    }


def _as_many(before: Sequence[ObjectInfo], after: Sequence[ObjectInfo]) -> bool:
    rows_before = [entry.rows for entry in before if entry.rows is not None]
    rows_after = [entry.rows for entry in after if entry.rows is not None]
    if len(rows_before) < len(before) or len(rows_after) < len(after):
        return False
    if all(entry.rows_exact for entry in (*before, *after)):
        return sum(rows_before) == sum(rows_after)
    return may_be_equal(sum(rows_before), sum(rows_after))


def may_be_equal(one: int, other: int) -> bool:
    """Whether two numbers of rows, of which at least one is estimated, differ by no more than estimates do."""
    return abs(one - other) <= _USUAL_ERROR * max(one, other)


def _report(expected: ObjectInfo, found: ObjectInfo | None, *, compare_rows: bool) -> ObjectReport:
    if found is None or not compare_rows:
        return ObjectReport(name=expected.name, outcome="missing" if found is None else "restored")
    exact = expected.rows_exact and found.rows_exact
    return ObjectReport(
        name=expected.name,
        outcome="other rows" if exact and expected.rows != found.rows else "restored",
        rows_expected=expected.rows,
        rows_found=found.rows,
        rows_exact=exact,
    )


def is_selected(name: str, tables: Sequence[str]) -> bool:
    """Whether an object of a manifest is among the chosen ones; all are where none is chosen."""
    return not tables or any(
        name == table or name.endswith(f".{table}") or name.startswith(f"{table}/")
        for chosen in tables
        for table in (chosen, *_in_quotes(chosen))
    )


def _in_quotes(name: str) -> tuple[str, ...]:
    """How a manifest of PostgreSQL tells a name, or parts of it, that a person wrote without quotes."""
    schema, dot, table = name.partition(".")
    parts = (f"{schema}.{_quoted(table)}", f"{_quoted(schema)}.{table}", f"{_quoted(schema)}.{_quoted(table)}")
    return (_quoted(name), *(parts if dot and schema and table else ()))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
