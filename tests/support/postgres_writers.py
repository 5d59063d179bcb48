"""Programs that write to a PostgreSQL database all the time, and come back at once when they are cut off."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.postgres import PostgresServer

_WRITER = """
import sys, time
import psycopg
conninfo, statement, path = sys.argv[1:]
file = open(path, "a")
while True:
    try:
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            while True:
                with connection.transaction():
                    connection.execute(statement)
                    connection.execute(statement)
                file.write(f"{time.monotonic()}\\n")
                file.flush()
    except psycopg.Error:
        time.sleep(0.002)
"""


@contextlib.contextmanager
def writers_at_work(
    server: PostgresServer, database: str, statement: str, folder: Path, count: int = 3
) -> Iterator[list[Path]]:
    """Writers that carry out a statement twice a transaction; files to which they write the time of each success."""
    conninfo = f"host=127.0.0.1 port={server.port} user=postgres dbname={database}"
    files = [folder / f"writer-{number}" for number in range(count)]
    for file in files:
        file.touch()
    processes = [
        subprocess.Popen([sys.executable, "-c", _WRITER, conninfo, statement, str(file)], stdin=subprocess.DEVNULL)
        for file in files
    ]
    try:
        yield files
        assert all(process.poll() is None for process in processes), "a writer ended"
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
