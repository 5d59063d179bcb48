"""Machines that are too small: what is missing is said, and no run ends without a word (reliability row 11)."""

import subprocess
import sys

import pytest

from tests.support.shops import Shop


@pytest.mark.parametrize("megabytes", range(130, 330, 12))
def test_too_little_memory_is_told(shop: Shop, megabytes: int) -> None:
    """It depends on the machine whether so much is enough; where it is not, the run says so, wherever it lacked."""
    run_within(shop, megabytes)


def test_a_large_row_and_many_tables_within_little_memory(shop: Shop) -> None:
    """A row of 60 MB needs several times that at pg_dump; whether it has it or not, nothing is half."""
    with shop.server.connect(shop.database) as connection:
        connection.execute("CREATE TABLE large AS SELECT convert_to(repeat('x', 60000000), 'UTF8') AS row")
        connection.execute(";".join(f"CREATE TABLE t{number} ()" for number in range(300)).encode())
    run_within(shop, 400)


def run_within(shop: Shop, megabytes: int) -> None:
    """Run the job with so much memory for each process: it succeeds, or ends failed with a word on memory."""
    limit = f"--as={megabytes << 20}"
    done = subprocess.run(
        ["prlimit", limit, sys.executable, "-m", "dgtui", "--run-job", "nightly"],
        env=shop.home.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    executions = shop.home.engine().executions()
    if done.returncode == 0:
        assert shop.home.dgtui("validate", "nightly@latest").exit_code == 0
        return
    assert "memory" in (done.stderr + done.stdout).lower(), done.stderr
    assert shop.folders() == []
    assert all(execution.status == "failed" for execution in executions)
    shop.nothing_left()
