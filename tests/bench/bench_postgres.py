"""PostgreSQL against the shell: `python -m tests.bench.bench_postgres --help`.

Starts a server of its own, makes a database of about the wanted size of dump (accounts as pgbench's, log lines as JSON,
documents as jsonb, random bytes) with the keys and indexes that a live one has, and prints tables in Markdown.
"""

import argparse
from pathlib import Path

from tests.bench.measure import Case, shell
from tests.bench.place import Place, dgtui, run_bench, show
from tests.support.postgres import PostgresServer, running_server

_DATA = """
CREATE TABLE accounts AS SELECT i AS id, i % 10 AS branch, (random() * 100000)::int AS balance,
    repeat(' ', 84) AS filler FROM generate_series(1, {megabytes} * 3514) i;
ALTER TABLE accounts ADD PRIMARY KEY (id);
CREATE TABLE logs AS SELECT i AS id, now() - (i || ' s')::interval AS at, format(
    '{{"level":"info","req":"%s","path":"/api/v1/orders/%s","ms":%s,"msg":"handled request for user %s"}}',
    md5(i::text), (random() * 5000)::int, (random() * 700)::int, (random() * 10000)::int) AS line
    FROM generate_series(1, {megabytes} * 2162) i;
CREATE TABLE documents AS SELECT i AS id, jsonb_build_object('id', i, 'tags', array[md5(i::text), md5((i * 7)::text)],
    'body', (SELECT string_agg(md5((i * 31 + n)::text), ' ') FROM generate_series(1, 12) n)) AS document
    FROM generate_series(1, {megabytes} * 243) i;
CREATE TABLE blobs AS SELECT i AS id, decode((SELECT string_agg(md5((i * 57 + n)::text), '')
    FROM generate_series(1, 40) n), 'hex') AS bytes FROM generate_series(1, {megabytes} * 97) i;
ALTER TABLE logs ADD PRIMARY KEY (id);
ALTER TABLE documents ADD PRIMARY KEY (id);
ALTER TABLE blobs ADD PRIMARY KEY (id), ADD FOREIGN KEY (id) REFERENCES documents;
CREATE INDEX ON accounts (branch);
CREATE INDEX ON logs (at);
VACUUM ANALYZE;
"""


def _make_database(server: PostgresServer, megabytes: int) -> None:
    server.create_database("bench")
    with server.connect("bench") as connection:
        for statement in _DATA.format(megabytes=megabytes).split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())


def _place(server: PostgresServer, folder: Path) -> Place:
    settings: dict[str, str | int] = {
        "type": "postgres",
        "socket": str(server.folder),
        "port": server.port,
        "username": "postgres",
        "database": "bench",
    }
    return Place(folder, settings, {"PGHOST": str(server.folder), "PGPORT": str(server.port), "PGUSER": "postgres"})


def _restores(place: Place, server: PostgresServer) -> list[Case]:
    archive = place.archive()
    restore = dgtui("restore", "zstd@latest", "--into", "bench_copy", "--yes")

    def drop_copy() -> None:
        server.drop_database("bench_copy")

    by_hand = f"createdb bench_copy && zstd -qdc {archive} | pg_restore -d bench_copy"
    return [
        shell("zstd -dc \\| pg_restore", by_hand, drop_copy),
        Case("dgtui restore --jobs 1", [*restore, "--jobs", "1"], drop_copy),
        Case("dgtui restore --jobs 2", [*restore, "--jobs", "2"], drop_copy),
    ]


def bench(wanted: argparse.Namespace, folder: Path) -> None:
    """Backups against the pipelines that administrators write by hand, restores against `pg_restore`."""
    with running_server("-c shared_buffers=128MB", "-c max_wal_size=4GB") as server:
        _make_database(server, wanted.megabytes)
        place = _place(server, folder)
        if wanted.only != "restore":
            cases = place.backups("pg_dump -Fc -Z0", "pg_dump -Fc -Z0 bench")
            plain = f"pg_dump -Fc bench > {place.by_hand}"
            gzip = f"pg_dump bench | gzip > {place.by_hand}"
            cases += [
                shell("pg_dump -Fc", plain),
                shell("pg_dump \\| gzip", gzip),
                Case("dgtui gzip:6", dgtui("--run-job", "gzip"), place.clean),
            ]
            show(place, cases, wanted.rounds, [server.pid])
        if wanted.only != "backup":
            show(place, _restores(place, server), wanted.rounds, [server.pid])


if __name__ == "__main__":
    run_bench(__doc__ or "", bench)
