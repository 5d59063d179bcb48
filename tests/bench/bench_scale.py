"""Every command that reads, over catalogues of years.

    python -m tests.bench.bench_scale [--keep FOLDER] [--only WORD] [--state grown|full|steady|first]

There are four of them, each with 100 000 executions of 50 jobs at two storages, 20 000 more that were removed before,
a million health checks of 200 datasources, two storages and 50 jobs, 20 000 notifications, 50 000 entries of the audit
log and the logs of the last 20 000 runs. The checks are as many as if none had ever been thinned out. One of the
storages has a limit for all jobs together.

`grown`: nothing was ever removed, and one job has rules. `full`: the same, but a third of what lies at one storage has
no room there any more. `steady`: all have rules, which have removed what they do not
keep. `first`: all have rules, and nothing was removed yet. What rules may remove lies at the storages as real folders.
With `--keep` the folder is filled once and used again.
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from dgtui.config import load_config
from dgtui.config.model import job_id
from dgtui.engine.audit import FIRST_PREVIOUS, HEAD_NAME, Head, _sealed
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.audit import _columns
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.past import move_to_past
from dgtui.engine.cleanup import Retention
from dgtui.engine.health_model import Figures, HealthState, Watched
from dgtui.engine.messages import now
from dgtui.engine.notification_model import Actor, AuditEntry
from dgtui.engine.runs import RunPaths
from tests.bench.measure import compile_program
from tests.support.homes import Home
from tests.support.statements import insert_rows

DATASOURCES = 200
JOBS = 50
STORAGES = ("disk", "nas")
CHECKS = 1_000_000
EXECUTIONS = 100_000
PAST = 20_000
NOTIFICATIONS = 20_000
AUDIT = 50_000
LOGS = 20_000
STATES = ("grown", "full", "steady", "first")
RULED = ("steady", "first")
"""Where all jobs have rules."""
RULES = "retention = { keep_last = 7, keep_daily = 30, keep_monthly = 36 }"
BATCH = 10_000
COMMANDS = (
    ("list",),
    ("list", "--limit", "1000"),
    ("list", "--limit", "100000"),
    ("list", "--job", "job7"),
    ("list", "--status", "failed"),
    ("list", "--json"),
    ("show", "job7@latest"),
    ("show", "e0099001"),
    ("status",),
    ("health",),
    ("health", "d7"),
    ("health", "d7", "--history"),
    ("health", "--history"),
    ("notifications",),
    ("notifications", "--unread"),
    ("notifications", "--json"),
    ("notify",),
    ("audit",),
    ("audit", "--since", "7d"),
    ("audit", "--json"),
    ("audit", "--verify"),
    ("jobs",),
    ("restores",),
    ("stats",),
    ("stats", "--job", "job7"),
    ("stats", "--days", "3650"),
    ("metrics",),
    ("cleanup", "--dry-run"),
    ("cleanup", "--dry-run", "--job", "job7"),
    ("cleanup", "--dry-run", "--all"),
    ("cleanup", "--dry-run", "--json"),
    ("check",),
    ("daemon", "--status"),
)
JOB_IDS = [job_id(f"job{n}", None) for n in range(JOBS)]
Rows = Iterator[dict[str, object]]


def main() -> None:
    """Fill the catalogues and time the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="a folder that is kept, and used again where it is filled already")
    parser.add_argument("--only", help="only the commands with this word")
    parser.add_argument("--state", choices=STATES, help="only this catalogue")
    options = parser.parse_args()
    compile_program()
    wanted = [one for one in COMMANDS if options.only is None or options.only in one]
    states = [one for one in STATES if options.state in (None, one)]
    if options.keep is not None:
        options.keep.mkdir(exist_ok=True)
        measure(options.keep, states, wanted)
        return
    with tempfile.TemporaryDirectory(prefix="dgbench-") as folder:
        measure(Path(folder), states, wanted)


def measure(folder: Path, states: Sequence[str], commands: Sequence[tuple[str, ...]]) -> None:
    """Time the commands over a catalogue that is empty, then over the full ones."""
    print(f"load of the machine {os.getloadavg()[0]:.1f}; an empty catalogue:")
    time_commands(made(folder, "empty", ()), commands[:1])
    for state in states:
        ruled = range(JOBS) if state in RULED else (7,)
        home = made(folder, state, ruled, room=20 if state == "full" else 40)
        if not home.state.exists():
            started = time.monotonic()
            jobs = None if state == "full" else [f"job{number}" for number in ruled]
            fill(home, tables_of(folder), jobs, settled=state == "steady")
            size = (home.state / "catalog.db").stat().st_size / 2**20
            print(f"filled in {time.monotonic() - started:.0f} s, {size:.0f} MiB")
        print(f"\n{state}, load {os.getloadavg()[0]:.1f}:")
        time_commands(home, commands)


def tables_of(folder: Path) -> Path:
    """A state folder with a catalogue in which nothing was removed: what the others begin with."""
    state = folder / "tables"
    if not state.exists():
        state.mkdir(mode=0o700)
        catalog = Catalog(state)
        fill_tables(catalog)
        catalog.close()
    return state


def made(folder: Path, name: str, ruled: Sequence[int], *, room: int = 40) -> Home:
    """A home of this name with its configuration; the room in TB."""
    (folder / name).mkdir(exist_ok=True)
    home = Home(folder / name)
    configure(home, ruled, room)
    return home


def configure(home: Home, ruled: Sequence[int], room: int) -> None:
    """200 datasources, 50 jobs, of which these have rules, and a storage with room for all of them."""
    tables = [f"[datasources.d{n}]\ntype = 'sqlite'\npath = '/nowhere/{n}.db'\n" for n in range(1, DATASOURCES)]
    tables += [
        f"[jobs.job{n}]\ndatasource = 'd{n + 1}'\nstorages = ['disk', 'nas']\nschedule = 'hourly'\n"
        + (f"{RULES}\n" if n in ruled else "")
        for n in range(JOBS)
    ]
    home.configure(
        "\n".join(["[datasources.shop]\ntype = 'sqlite'\npath = '/nowhere/0.db'\n", *tables]), storages=STORAGES
    )
    text = home.config_path.read_text()
    nas = f"[storages.nas]\nretention = {{ max_total_size = '{room} TB' }}\n"
    home.config_path.write_text(text.replace("[storages.nas]\n", nas))


def time_commands(home: Home, commands: Sequence[tuple[str, ...]]) -> None:
    """Print wall and CPU time of each command, the best of three."""
    for arguments in commands:
        best, used = 1e9, 1e9
        for _ in range(3):
            started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = home.dgtui(*arguments, timeout=600)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best = min(best, time.monotonic() - started)
            used = min(used, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            if used > 3:
                break
        lines = done.output.count("\n")
        print(
            f"{best:6.2f} s wall {used:6.2f} s CPU  exit {done.exit_code} {lines:7} lines  dgtui {' '.join(arguments)}",
            flush=True,
        )


def fill(home: Home, tables: Path, jobs: Sequence[str] | None, *, settled: bool) -> None:
    """A catalogue, and what lies at the storages of these jobs; `settled` once what no rule keeps was removed."""
    shutil.copytree(tables, home.state)
    catalog = Catalog(home.state)
    config = load_config(home.config_path)
    paths = RunPaths(home.state)
    paths.make()
    plan = Retention(catalog, config, paths).plan(jobs=jobs)
    if settled:
        settle(catalog, {one.execution_id for one in plan.removals})
    for storage in STORAGES:
        adapter = config.storage(storage)
        adapter.prepare()
        marker = adapter.marker_id()
        assert marker is not None
        catalog.save_storage_marker(storage, marker)
    for one in plan.kept if settled else plan.verdicts:
        folder = home.storage(one.storage) / one.job_id / one.folder
        folder.mkdir(parents=True)
        (folder / "manifest.json").touch()
    catalog.close()
    for number in range(EXECUTIONS - LOGS, EXECUTIONS):
        paths.messages(f"e{number:07}").touch()


def settle(catalog: Catalog, gone: set[str]) -> None:
    """Move what is removed to the past."""
    ids = sorted(gone)
    for start in range(0, len(ids), BATCH):
        with catalog.transaction() as connection:
            for execution_id in ids[start : start + BATCH]:
                move_to_past(connection, execution_id, at=now())


def fill_tables(catalog: Catalog) -> None:
    """The tables of the catalogue."""
    end = now()
    for table, rows in (
        ("executions", (execution_row(number, end) for number in range(EXECUTIONS))),
        ("copies", copy_rows(end)),
        ("past_executions", (past_row(number, end) for number in range(PAST))),
        ("health_checks", check_rows(end)),
        ("health_states", state_rows(end)),
        ("notifications", (notification_row(number, end) for number in range(NOTIFICATIONS))),
        ("audit", audit_rows(catalog.path.parent, end)),
    ):
        insert(catalog, table, rows)
    # Else the first command would look for the backups at the storages, which hold none of most of them.
    catalog.storages_were_read()


def insert(catalog: Catalog, table: str, rows: Rows) -> None:
    """In pieces, so that a million rows are never in memory at once."""
    piece: list[dict[str, object]] = []
    for row in rows:
        piece.append(row)
        if len(piece) == BATCH:
            with catalog.transaction() as connection:
                insert_rows(connection, table, piece)
            piece = []
    if piece:
        with catalog.transaction() as connection:
            insert_rows(connection, table, piece)


def run_row(number: int, at: datetime) -> dict[str, object]:
    """What a run has in both tables; one in a hundred failed."""
    good = number % 100 != 99
    return {
        "execution_id": f"e{number:07}",
        "job_id": JOB_IDS[number % JOBS],
        "job": f"job{number % JOBS}",
        "datasource": f"d{number % JOBS + 1}",
        "datasource_type": "sqlite",
        "status": "completed" if good else "failed",
        "backup_type": "full",
        "started_at": time_text(at),
        "finished_at": time_text(at + timedelta(seconds=30 + number % 60)),
        "total_size_bytes": 10**9 + number * 1000 if good else None,
        "compressed_size_bytes": 3 * 10**8 if good else None,
    }


def execution_row(number: int, end: datetime) -> dict[str, object]:
    """One every twenty minutes: almost four years."""
    at = end - timedelta(minutes=20 * (EXECUTIONS - number))
    row = run_row(number, at)
    problem = '{"kind":"DatabaseConnectionError","message":"refused","subject":"","hint":"","detail":[]}'
    return {
        **row,
        "folder": f"{at:%Y-%m-%d_%H%M%S}" if row["status"] == "completed" else None,
        "description": "",
        "warnings": "[]",
        "purpose": "backup",
        "problem": None if row["status"] == "completed" else problem,
    }


def past_row(number: int, end: datetime) -> dict[str, object]:
    """A run that was removed since."""
    row = run_row(number, end - timedelta(minutes=90 * (PAST - number), seconds=7))
    return {
        **row,
        "execution_id": f"p{number:07}",
        "purpose": "backup",
        "problem_kind": None if row["status"] == "completed" else "DiskSpaceError",
        "removed_at": time_text(end),
    }


def copy_rows(end: datetime) -> Rows:
    """Two of each good execution; one in a thousand is missing."""
    for number in range(EXECUTIONS):
        row = execution_row(number, end)
        if row["folder"] is not None:
            for storage in STORAGES:
                status = "missing" if number % 1000 == 0 and storage == "nas" else "available"
                path = f"/srv/{storage}/{row['job_id']}/{row['folder']}"
                yield {"execution_id": row["execution_id"], "storage": storage, "status": status, "path": path}


def watched() -> list[Watched]:
    """All that is configured."""
    names = ["shop", *(f"d{n}" for n in range(1, DATASOURCES))]
    return [
        *(Watched(kind="datasource", name=name) for name in names),
        *(Watched(kind="storage", name=name) for name in STORAGES),
        *(Watched(kind="job", name=f"job{n}") for n in range(JOBS)),
    ]


def numbers_of(subject: Watched, place: int) -> Figures:
    """A storage fills slowly."""
    if subject.kind != "storage":
        return Figures(product="SQLite", version="3.40.1", size_bytes=10**9)
    return Figures(disk_free_bytes=4 * 10**11 + place * 10**7, disk_total_bytes=10**12)


def check_rows(end: datetime) -> Rows:
    """One every five minutes of everything."""
    subjects = watched()
    each = CHECKS // len(subjects)
    for subject in subjects:
        for place in range(each):
            figures = numbers_of(subject, place)
            known = {k: v for k, v in msgspec.to_builtins(figures).items() if v not in (None, "")}
            yield {
                "subject_kind": subject.kind,
                "subject": subject.name,
                "checked_at": time_text(end - timedelta(minutes=5 * place)),
                "result": "ok" if place % 1000 else "timeout",
                "latency_seconds": 0.01,
                "figures": msgspec.json.encode(known).decode(),
            }


def state_rows(end: datetime) -> Rows:
    """How all of it stands."""
    for number, subject in enumerate(watched()):
        state = HealthState(
            subject=subject,
            status="critical" if number % 50 == 49 else "healthy",
            since=end,
            checked_at=end,
            result="ok",
            latency_seconds=0.01,
            figures=numbers_of(subject, 0),
        )
        record = msgspec.json.encode(state).decode()
        yield {"subject_kind": subject.kind, "subject": subject.name, "status": state.status, "record": record}


def notification_row(number: int, end: datetime) -> dict[str, object]:
    """One in ten was not read."""
    at = time_text(end - timedelta(minutes=30 * (NOTIFICATIONS - number)))
    return {
        "notification_id": f"n{number:07}",
        "kind": "backup_failed",
        "severity": "error",
        "subject_kind": "job",
        "subject": f"job{number % JOBS}",
        "message": f"Backup of d{number % JOBS} failed",
        "created_at": at,
        "details": "[]",
        "related": "[]",
        "group_key": "",
        "ended_kinds": "[]",
        "read_at": None if number % 10 == 0 else at,
        "ended_at": at,
        "routed_at": at,
    }


def audit_rows(folder: Path, end: datetime) -> Rows:
    """A chain that holds, and its head."""
    previous = FIRST_PREVIOUS
    for number in range(1, AUDIT + 1):
        entry = _sealed(
            AuditEntry(
                number=number,
                at=end - timedelta(minutes=20 * (AUDIT - number)),
                actor=Actor(user="root", program="daemon"),
                action="backup",
                object_kind="job",
                object_name=f"job{number % JOBS}",
                outcome="completed",
                details=(f"execution e{number:07}",),
                previous=previous,
                hash="",
            )
        )
        previous = entry.hash
        yield _columns(entry)
    (folder / HEAD_NAME).write_bytes(msgspec.json.encode(Head(number=AUDIT, hash=previous)))


if __name__ == "__main__":
    main()
