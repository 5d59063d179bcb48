"""How many processes load a backup: as many as the job says, or as was asked for."""

import re
import shlex

from tests.support.homes import Home
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
        return re.findall(r"^-j (\d+) ", calls.read_text(), re.MULTILINE)

    try:
        assert processes("restore", "nightly@latest", "--into", "jobs_of_the_job", "--yes") == ["3"]
        assert processes("restore", "nightly@latest", "--into", "jobs_asked_for", "--jobs", "2", "--yes") == ["2"]
        assert processes("rehearse", "nightly@latest") == ["3"]
    finally:
        shop.server.drop_database("jobs_of_the_job")
        shop.server.drop_database("jobs_asked_for")
