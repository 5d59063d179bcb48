"""How many processes load a backup: as many as the job says, or as was asked for."""

import re
import shlex

import pytest

from dgtui.engine.messages import PhaseMessage
from tests.support.changing import changing
from tests.support.homes import Home, wait_until
from tests.support.shops import Shop

_NOTING = '#!/bin/sh\nprintf "%s\\n" "$*" >> {calls}\nexec {real} "$@"\n'


def test_the_restore_jobs_of_the_job_are_used(home: Home, shop: Shop) -> None:
    tools = home.folder / "tools"
    tools.mkdir()
    calls = tools / "calls"
    for name in ("pg_dump", "pg_dumpall", "psql"):
        (tools / name).symlink_to(shop.server.binaries / name)
    fake = tools / "pg_restore"
    real = shlex.quote(str(shop.server.binaries / "pg_restore"))
    fake.write_text(_NOTING.format(calls=shlex.quote(str(calls)), real=real))
    fake.chmod(0o700)
    shop.tools = tools
    shop.job = "restore_jobs = 3"
    shop.write()
    assert home.back_up().status == "completed"

    def processes(*command: str) -> list[str]:
        calls.write_text("")
        assert home.dgtui(*command).exit_code == 0
        return re.findall(r" -j (\d+) ", calls.read_text())

    try:
        assert processes("restore", "nightly@latest", "--into", "jobs_of_the_job", "--yes") == ["3"]
        assert processes("restore", "nightly@latest", "--into", "jobs_asked_for", "--jobs", "2", "--yes") == ["2"]
        assert processes("rehearse", "nightly@latest") == ["3"]
    finally:
        shop.server.drop_database("jobs_of_the_job")
        shop.server.drop_database("jobs_asked_for")


def test_each_phase_of_a_parallel_restore_is_told_once(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("postgres", home, request) as source:
        engine = home.engine()
        run_id = source.start(engine, jobs=2, safety=False)
        assert home.finish(engine, run_id).status == "completed"
        told = [message.phase for message in engine.follower(run_id).poll() if isinstance(message, PhaseMessage)]
        assert told == ["validate", "create", "restore", "compare", "swap", "record"]


HALTING = """
CREATE FUNCTION fits(int) RETURNS bool LANGUAGE sql AS 'SELECT true';
ALTER TABLE customers ADD CHECK (fits(id));
CREATE OR REPLACE FUNCTION fits(int) RETURNS bool LANGUAGE sql
AS 'SELECT CASE WHEN $1 = 126 THEN pg_sleep(600) IS NOT NULL ELSE true END';
"""
"""The loading of the 500 customers, which come in order, halts after a quarter of them."""


def test_a_parallel_restore_tells_how_much_of_the_tables_is_loaded(shop: Shop) -> None:
    shop.server.execute(HALTING, database=shop.database)
    execution = shop.home.back_up()
    engine = shop.home.engine()
    sizes = {entry.name: entry.bytes or 0 for entry in engine.manifest(execution).objects}
    halted = sizes["public.orders"] + sizes["public.customers"] * 125 // 500
    run_id = engine.start_restore(execution, overwrite=True, jobs=2, safety=False)
    follower = engine.follower(run_id)

    def halts() -> bool:
        follower.poll()
        progress = follower.snapshot.progress
        assert not follower.snapshot.ended, follower.snapshot.problem
        return follower.snapshot.phase == "restore" and progress is not None and progress.done == halted

    wait_until(halts, "the loading of all orders, and of a quarter of the customers")
    progress = follower.snapshot.progress
    assert progress is not None
    assert (progress.total, progress.total_kind) == (sum(sizes.values()), "estimated")
    engine.cancel(run_id)
    assert shop.home.finish(engine, run_id).status == "cancelled"
