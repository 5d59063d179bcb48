"""`list`, `show` and `status`."""

import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgtui.cli.options import LIST_LIMIT, AsJson, Execution, Limit
from dgtui.cli.output import print_data, print_json, print_json_texts, say, say_how_many_more
from dgtui.engine.errors import ConfigError
from dgtui.wording.states import COPY_MARKS, EXECUTION_MARKS
from dgtui.wording.terminal import is_terminal, look_of, size_of
from dgtui.wording.words import counted, one_line, short_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from dgtui.config import Config
    from dgtui.engine import Engine
    from dgtui.engine.catalog.listing import Tell
    from dgtui.engine.catalog.proofs import Proven
    from dgtui.engine.model import Alike, ExecutionStatus, Listed
    from dgtui.engine.run_follower import RunSnapshot
    from dgtui.engine.runs import RunInfo
    from dgtui.wording.terminal import Look

_HEADERS = ("ID", "Taken", "Job", "Status", "Type", "Size", "Stored", "Kept", "Proven", "Copies")


def list_executions(
    datasource: Annotated[str | None, typer.Option(metavar="D", help="Only of this datasource.")] = None,
    job: Annotated[str | None, typer.Option(metavar="J", help="Only of this job.")] = None,
    status: Annotated[str | None, typer.Option(metavar="S", help="Only in this state, such as completed.")] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the backups, the newest first."""
    from dgtui.cli.watch import open_beside_mistakes

    if status is not None and status not in EXECUTION_MARKS:
        raise ConfigError(f"There is no state {status!r}", hint=f"One of: {', '.join(EXECUTION_MARKS)}")
    with open_beside_mistakes() as engine:
        if as_json:
            if not engine.execution_count(job=job, datasource=datasource, status=status):
                _need_known(engine, datasource, job)
                _say_what_is_unread(engine)
            print_json_texts(engine.execution_texts(job=job, datasource=datasource, status=status, limit=limit))
            return
        total = engine.execution_count(job=job, datasource=datasource, status=status)
        if not total:
            _need_known(engine, datasource, job)
            chosen = datasource is not None or job is not None or status is not None
            if chosen:
                say("No such backups. All of them: dgtui list")
            elif not _say_what_is_unread(engine):
                say("No backups. Make one with: dgtui run JOB")
            return
        proven = engine.proofs.proven()
        tell = teller(proven, engine.config, look=look_of(sys.stdout), width=output_width())
        for lines in engine.listed(tell, job=job, datasource=datasource, status=status, limit=limit or LIST_LIMIT):
            print_data(lines)
    if limit is None:
        say_how_many_more(LIST_LIMIT, total)


def _need_known(engine: "Engine", datasource: str | None, job: str | None) -> None:
    """Refuse a name that neither the configuration nor any backup has: it is a mistake in writing."""
    if datasource is not None and not engine.execution_count(datasource=datasource):
        engine.config.require_datasource(datasource)
    if job is not None and not engine.execution_count(job=job):
        engine.config.job(job)


def _say_what_is_unread(engine: "Engine") -> bool:
    """Name the storages where backups may lie that nobody could list; whether there are any."""
    unread = engine.unread_storages()
    for name, why in unread.items():
        say(f"No backup is known, but {name} may hold some ({one_line(why)}): dgtui scan {name}")
    return bool(unread)


def output_width() -> int | None:
    """The columns of the terminal on stdout; None where there is none."""
    return size_of(sys.stdout)[0] if is_terminal(sys.stdout) else None


def teller(proven: "Mapping[str, Proven]", config: "Config", *, look: "Look", width: int | None) -> "Tell":
    """What makes the table of `list`, or a part of it, of executions."""
    from dgtui.cli.table import TablePart
    from dgtui.engine.messages import now
    from dgtui.wording.words import known_size, time_texts

    at = now()
    # Many have the same job, the same state, the same copies: each of these is put into words once.
    job_text, type_text = cache(one_line), cache(_type_text)
    told_status = cache(partial(status_text, look=look))
    told_copies = cache(partial(copies_text, config=config, look=look))

    def cells_of(rows: "Sequence[Listed]") -> "list[list[str]]":
        kinds = [row.kind for row in rows]
        return [
            [short_id(row.execution_id) for row in rows],
            time_texts(row.started_at for row in rows),
            [job_text(kind.job) for kind in kinds],
            [told_status(kind.status, row.warnings) for kind, row in zip(kinds, rows, strict=True)],
            [type_text(kind.backup_type, kind.purpose) for kind in kinds],
            [known_size(row.total_size_bytes) for row in rows],
            [known_size(row.compressed_size_bytes) for row in rows],
            [kept_text(kind, row, at) for kind, row in zip(kinds, rows, strict=True)],
            [proven_text(proven.get(row.execution_id)) for row in rows],
            [told_copies(kind.where) for kind in kinds],
        ]

    def tell(pages: "Iterable[Sequence[Listed]]") -> TablePart:
        columns: list[list[str]] = [[] for _ in _HEADERS]
        for rows in pages:
            for column, some in zip(columns, cells_of(rows), strict=True):
                column.extend(some)
        return TablePart(_HEADERS, columns, width=width)

    return tell


def status_text(status: "ExecutionStatus", warnings: int, look: "Look") -> str:
    """The state of an execution, and how many warnings it ended with."""
    warned = f", {counted(warnings, 'warnings')}" if warnings else ""
    return f"{EXECUTION_MARKS[status].shown(look)} {status}{warned}"


def _type_text(backup_type: str, purpose: str) -> str:
    return backup_type if purpose == "backup" else f"{backup_type}, {purpose}"


def proven_text(proof: "Proven | None") -> str:
    """When a backup was restored or rehearsed last."""
    if proof is None:
        return "-"
    return f"{'restored' if proof.how == 'restore' else 'rehearsed'} {proof.proven_at.astimezone():%Y-%m-%d}"


def kept_text(kind: "Alike", row: "Listed", at: "datetime") -> str:
    """Until when an execution is kept, as far as it is known."""
    if kind.pin is not None:
        return "pinned"
    # A day that is past was reckoned with backups that did not come: it stays, or the next cleanup takes it.
    if row.expires_at is None or row.expires_at <= at:
        return "-"
    return f"until {row.expires_at.astimezone():%Y-%m-%d}"


def copies_text(where: str, config: "Config", look: "Look") -> str:
    """The storages of the copies, as they are tried; a state is written out where it is not simply there."""
    from dgtui.engine.model import copies_of

    known = sorted(copies_of(where), key=lambda copy: config.place_of_storage(copy.storage))
    return "  ".join(
        f"{one_line(copy.storage)} {COPY_MARKS[copy.status].shown(look)}"
        + ("" if copy.status == "available" else f" {copy.status}")
        for copy in known
    )


def show(execution: Execution, as_json: AsJson = False) -> None:
    """Show a backup, and how it is restored by hand."""
    from dgtui.cli.watch import open_beside_mistakes
    from dgtui.wording.execution_text import Details, execution_lines

    with open_beside_mistakes() as engine:
        details = Details.gather(engine, engine.execution(execution))
    if as_json:
        print_json(details.as_data())
        return
    for line in execution_lines(details, look_of(sys.stdout)):
        print_data(line)


def status(
    execution: Annotated[
        str | None, typer.Argument(metavar="[EXECUTION]", help="Only this run; else all that are under way.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is running now, whoever started it."""
    from dgtui.cli.watch import open_beside_mistakes

    with open_beside_mistakes() as engine:
        running, waiting = engine.running(), engine.waiting()
        if execution is not None:
            run_id = engine.run_reference(execution)
            wanted = [(run_id, engine.run_info(run_id))]
        else:
            wanted = [(info.run_id, info) for info in (*running, *waiting)]
        runs = []
        for run_id, info in wanted:
            follower = engine.follower(run_id)
            follower.poll()
            # A worker that said its last word may take another moment to leave.
            if execution is not None or not follower.snapshot.ended:
                runs.append((info, follower.snapshot))
        guarded = engine.daemon_status().running
    if as_json:
        data = [run_data(info, snapshot) for info, snapshot in runs]
        print_json(data if execution is None else data[0])
        return
    for info, snapshot in runs:
        print_data(run_line(info, snapshot))
    if not runs:
        say("Nothing is running")
    if not guarded and {info.run_id for info in waiting} & {snapshot.run_id for _, snapshot in runs}:
        say("note: no daemon is running, so that nothing that waits begins: see dgtui daemon --install")


def run_data(info: "RunInfo | None", snapshot: "RunSnapshot") -> dict[str, Any]:
    """A run as `status --json` prints it."""
    import msgspec

    data: dict[str, Any] = msgspec.to_builtins(snapshot)
    known = {"operation": info.operation, "title": info.title} if info is not None else {}
    return {**known, **data, "fraction": snapshot.fraction}


def run_line(info: "RunInfo | None", snapshot: "RunSnapshot") -> str:
    """A run as `status` prints it."""
    from dgtui.wording.panel import object_words, phase_text, progress_words
    from dgtui.wording.states import MOVING_PHASES

    words = [short_id(snapshot.run_id)]
    if info is not None:
        words.append(f"{info.operation} {one_line(info.title)}")
    words.append(snapshot.status)
    if snapshot.status == "queued" and snapshot.log:
        words.append(one_line(snapshot.log[-1].text))
    elif not snapshot.ended:
        words.append(phase_text(snapshot))
    if snapshot.progress is not None and (snapshot.ended or snapshot.phase in MOVING_PHASES):
        words += [*progress_words(snapshot, snapshot.progress), object_words(snapshot.progress)]
    return "  ".join(filter(None, words))
