"""Machines that are too small: what is missing is said, and no run ends without a word (reliability row 11)."""

import subprocess
import sys

import pytest

from tests.support.shops import Shop


@pytest.mark.parametrize("megabytes", [150, 300])
def test_too_little_memory_is_told(shop: Shop, megabytes: int) -> None:
    """It depends on the machine whether so much is enough; where it is not, the run says so."""
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
