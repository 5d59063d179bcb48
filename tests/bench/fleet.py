"""200 datasources on real servers, 10 of them frozen: what the health worker and the daemon are measured with."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.homes import Home
from tests.support.mariadb import MariadbServer
from tests.support.postgres import running_server

DATASOURCES = 200
FROZEN = 10
JOBS = 20
TIMEOUT_SECONDS = 10


@contextmanager
def fleet(home: Home, *, guardian: str = "") -> Iterator[None]:
    """A configuration of them, with jobs that are not due; the frozen ones belong to a server stopped with SIGSTOP.

    `guardian` are lines of the `[guardian]` table.
    """
    mariadb = MariadbServer("--max-connections=300")
    mariadb.start()
    with running_server() as postgres, running_server() as frozen:
        database = mariadb.create_database("shop")
        stopped = frozen.processes()
        frozen.signal_all(signal.SIGSTOP)
        tables = [f"[guardian]\n{guardian}"]
        for number in range(DATASOURCES):
            name = "shop" if number == 0 else f"d{number}"
            if number >= DATASOURCES - FROZEN or number % 2 == 0:
                port = frozen.port if number >= DATASOURCES - FROZEN else postgres.port
                tables.append(
                    f"[datasources.{name}]\ntype = 'postgres'\nport = {port}\nusername = 'postgres'\n"
                    f"database = 'postgres'\ncheck_timeout = {TIMEOUT_SECONDS}\n"
                )
            else:
                tables.append(mariadb.config(database, name) + f"check_timeout = {TIMEOUT_SECONDS}\n")
        tables += [
            f"[jobs.job{number}]\ndatasource = 'd{number + 1}'\nstorages = ['disk']\nschedule = '0 3 1 1 *'\n"
            for number in range(JOBS)
        ]
        home.configure("\n".join(tables))
        try:
            yield
        finally:
            for process in stopped:
                os.kill(process, signal.SIGCONT)
            mariadb.remove()
