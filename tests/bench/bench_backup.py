"""Backup and restore of PostgreSQL against the plain shell pipelines: `python -m tests.bench.bench_backup --help`.

Starts a server of its own, makes a database of about the wanted size of dump, and prints tables in Markdown.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Case, measure, shell, table
from tests.support.postgres import PostgresServer, running_server

_MEGABYTES_OF_ONE = 360
_DATA = """
CREATE TABLE accounts AS SELECT i AS id, i % 10 AS branch, 0 AS balance, repeat(' ', 84) AS filler
    FROM generate_series(1, {scale} * 1200000) i;
ALTER TABLE accounts ADD PRIMARY KEY (id);
CREATE TABLE logs AS SELECT i AS id, now() - (i || ' s')::interval AS at, format(
    '{{"level":"info","req":"%s","path":"/api/v1/orders/%s","ms":%s,"msg":"handled request for user %s"}}',
    md5(i::text), i % 5000, i % 700, i % 10000) AS line FROM generate_series(1, {scale} * 900000) i;
CREATE TABLE documents AS SELECT i AS id, jsonb_build_object('id', i, 'tags', array[md5(i::text), md5((i * 7)::text)],
    'body', repeat(md5((i % 100)::text), 10)) AS document FROM generate_series(1, {scale} * 90000) i;
CREATE TABLE blobs AS SELECT i AS id, decode(repeat(md5(i::text) || md5((i * 3)::text), 20), 'hex') AS bytes
    FROM generate_series(1, {scale} * 30000) i;
VACUUM ANALYZE;
"""


class Place:
    """A server with one database, and a configuration that backs it up in every way that is measured."""

    def __init__(self, server: PostgresServer, folder: Path, megabytes: int) -> None:
        self.server = server
        self.folder = folder
        scale = max(1, round(megabytes / _MEGABYTES_OF_ONE))
        server.create_database("bench")
        with server.connect("bench") as connection:
            for statement in _DATA.format(scale=scale).split(";\n"):
                if statement.strip():
                    connection.execute(statement.encode())
        self._write_configuration()

    def _write_configuration(self) -> None:
        jobs = {
            "zstd": ["zstd:3", ["one"]],
            "zstd-two": ["zstd:3", ["one", "two"]],
            "gzip": ["gzip:6", ["one"]],
        }
        lines = [
            (
                f'[datasources.bench]\ntype = "postgres"\nsocket = {json.dumps(str(self.server.folder))}\n'
                f'port = {self.server.port}\nusername = "postgres"\ndatabase = "bench"\n'
            )
        ]
        lines += [
            f'[storages.{name}]\ntype = "local"\npath = {json.dumps(str(self.folder / name))}'
            for name in ("one", "two")
        ]
        lines += [
            f'[jobs.{name}]\ndatasource = "bench"\ncompression = "{compression}"\nstorages = {json.dumps(storages)}'
            for name, (compression, storages) in jobs.items()
        ]
        self.folder.joinpath("config.toml").write_text("\n".join(lines))
        self.folder.joinpath("config.toml").chmod(0o600)

    @property
    def environment(self) -> dict[str, str]:
        """For the shell's tools and for dgtui alike."""
        return {
            "PGHOST": str(self.server.folder),
            "PGPORT": str(self.server.port),
            "PGUSER": "postgres",
            "DGTUI_CONFIG": str(self.folder / "config.toml"),
            "DGTUI_STATE": str(self.folder / "state"),
        }

    def clean(self) -> None:
        """Remove what earlier rounds wrote, so that the disk does not fill up."""
        for name in ("one", "two"):
            for path in (self.folder / name).glob("*/*"):
                shutil.rmtree(path)

    def drop_copy(self) -> None:
        """Remove the database that a restore made."""
        self.server.drop_database("bench_copy")


def dgtui(*arguments: str) -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "dgtui", *arguments]


def bench_backups(place: Place, rounds: int) -> None:
    """Backups against the pipelines that administrators write by hand."""
    file = place.folder / "by-hand"
    zstd = f"pg_dump -Fc -Z0 bench | zstd -q -T2 -3 | tee >(sha256sum > {file}.sum) > {file}; sync {file}"
    cases = [
        shell("pg_dump -Fc -Z0 \\| zstd -T2 -3 \\| tee >(sha256sum)", zstd),
        Case("dgtui zstd:3, one folder", dgtui("--run-job", "zstd"), place.clean),
        Case("dgtui zstd:3, two folders", dgtui("--run-job", "zstd-two"), place.clean),
        shell("pg_dump -Fc", f"pg_dump -Fc bench > {file}"),
        shell("pg_dump \\| gzip", f"pg_dump bench | gzip > {file}"),
        Case("dgtui gzip:6", dgtui("--run-job", "gzip"), place.clean),
    ]
    samples = measure(cases, rounds, servers=[place.server.pid], environment=place.environment)
    print(f"\n{table(samples, cases[0].name)}\n")


def bench_restores(place: Place, rounds: int) -> None:
    """Restores against `zstd -dc | pg_restore`."""
    place.clean()
    measure([Case("backup", dgtui("--run-job", "zstd"))], 0, environment=place.environment)
    archive = next((place.folder / "one").glob("*/*/backup.dump.zst"))
    by_hand = f"createdb bench_copy && zstd -qdc {archive} | pg_restore -d bench_copy"
    restore = dgtui("restore", "zstd@latest", "--into", "bench_copy", "--yes")
    cases = [
        shell("zstd -dc \\| pg_restore", by_hand, place.drop_copy),
        Case("dgtui restore, serial", [*restore, "--jobs", "1"], place.drop_copy),
        Case("dgtui restore", restore, place.drop_copy),
    ]
    samples = measure(cases, rounds, servers=[place.server.pid], environment=place.environment)
    print(f"\n{table(samples, cases[0].name)}\n")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=_MEGABYTES_OF_ONE, help="size of the dump")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["backup", "restore"])
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dgtui-bench-"))
    try:
        with running_server("-c shared_buffers=128MB", "-c max_wal_size=4GB") as server:
            place = Place(server, folder, wanted.megabytes)
            if wanted.only != "restore":
                bench_backups(place, wanted.rounds)
            if wanted.only != "backup":
                bench_restores(place, wanted.rounds)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
