"""How long a PostgreSQL database is out of reach while a restored one takes its place, with writers at work.

    python tests/bench/bench_swap.py --rounds 5 --writers 3

Two things are measured: how often and how long somebody who asks the server all the time is told that there is no
database of this name, and the longest time in which no transaction of any writer succeeded, from before to after.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dgtui.engine.datasources.postgres import PostgresDatasource  # noqa: E402
from dgtui.engine.datasources.postgres_connection import PostgresSettings  # noqa: E402
from dgtui.engine.reporting import SilentReporter  # noqa: E402
from tests.support.postgres import PostgresServer, running_server, wait_until  # noqa: E402
from tests.support.postgres_writers import writers_at_work  # noqa: E402

TARGET_MS = 100.0


class Silent(SilentReporter):
    """Hears what the swap reports."""

    def log(self, text: str, *, origin: str = "dgtui", level: str = "info") -> None:
        """Print it."""
        print(f"  {level} {origin}: {text}")


class Watcher(threading.Thread):
    """Asks all the time whether a database exists."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        super().__init__(daemon=True)
        self._server, self._database = server, database
        self.absent_ms = 0.0
        self.asked = 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Ask until it is ended."""
        since: float | None = None
        with self._server.connect() as connection:
            while not self.ended.is_set():
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self._database,)).fetchone()
                self.asked += 1
                if found is None:
                    since = since or time.monotonic()
                    self.absent_ms = max(self.absent_ms, (time.monotonic() - since) * 1000)
                else:
                    since = None


def one_round(server: PostgresServer, folder: Path, writers: int) -> tuple[float, float]:
    """One swap; for how long there was no database of the name, and for how long nobody could write, in ms."""
    database = server.create_database()
    new = server.create_database(f"{database}__dgtui_new")
    for name in (database, new):
        server.execute("CREATE TABLE written (at timestamptz DEFAULT clock_timestamp())", name)
    settings = PostgresSettings(
        type="postgres", host="127.0.0.1", port=server.port, username="postgres", database=database
    )
    datasource = PostgresDatasource("shop", settings)
    watcher = Watcher(server, database)
    watcher.start()
    with writers_at_work(server, database, "INSERT INTO written DEFAULT VALUES", folder, writers) as files:
        wait_until(lambda: all(file.stat().st_size for file in files), "all writers write")
        before = time.monotonic()
        datasource.swap(new, database, f"{database}__dgtui_old", Silent())
        after = time.monotonic()
        wait_until(lambda: all(float(file.read_text().split()[-1]) > after + 0.3 for file in files), "all write again")
    watcher.ended.set()
    watcher.join()
    moments = sorted(float(moment) for file in files for moment in file.read_text().split())
    for file in files:
        file.unlink()
    around = [moment for moment in moments if before - 1 < moment < after + 1]
    gap = max(later - earlier for earlier, later in itertools.pairwise(around))
    print(f"  asked {watcher.asked} times; the whole swap took {(after - before) * 1000:.0f} ms")
    return watcher.absent_ms, gap * 1000


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--writers", type=int, default=3)
    options = parser.parse_args()
    absent, gaps = [], []
    with running_server() as server, tempfile.TemporaryDirectory() as name:
        for number in range(options.rounds):
            missing, gap = one_round(server, Path(name), options.writers)
            absent.append(missing)
            gaps.append(gap)
            print(f"round {number + 1}: no such database for {missing:.1f} ms, nobody could write for {gap:.1f} ms")
    print(f"no such database: at most {max(absent):.1f} ms (target: under {TARGET_MS:.0f} ms)")
    print(f"nobody could write: median {statistics.median(gaps):.1f} ms, at most {max(gaps):.1f} ms")
    if max(absent) >= TARGET_MS:
        sys.exit(1)


if __name__ == "__main__":
    main()
