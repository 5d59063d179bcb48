"""Commands and workers that begin as copies behave as those that are started."""

import os
from pathlib import Path

import pytest

from tests.support.homes import Home
from tests.support.warm import WarmInterpreter


@pytest.mark.parametrize(
    "words",
    [("--version",), ("list", "--json"), ("--no-such-flag",), ("show", "nightly@latest"), ("validate", "--help")],
)
def test_a_copy_says_and_ends_as_one_that_is_started(
    home: Home, tree: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = home.dgtui(*words)
    monkeypatch.setattr(Home, "warm", None)
    assert repr(copied) == repr(home.dgtui(*words))


def test_a_copy_has_the_environment_that_it_is_given(home: Home, tree: Path, warm_interpreter: WarmInterpreter) -> None:
    elsewhere = home.folder / "elsewhere"
    code, output, _ = warm_interpreter.command(("list",), {**home.environment, "DGTUI_STATE": str(elsewhere)}, 60)
    assert (code, b"nightly" in output, elsewhere.is_dir()) == (0, False, True)
    assert home.dgtui("--run-job", "nightly").exit_code == 0
    assert b"nightly" in warm_interpreter.command(("list",), home.environment, 60)[1]


def test_what_is_killed_takes_no_other_with_it(home: Home, tree: Path, warm_interpreter: WarmInterpreter) -> None:
    home.configure(
        f'[datasources.shop]\ntype = "files"\npath = "{tree}"\n', job='before = ["sh", "-c", "kill -9 $PPID"]'
    )
    engine = home.engine()
    run_id = engine.start_job("nightly")
    assert home.finish(engine, run_id).status == "interrupted"
    with pytest.raises(TimeoutError):
        warm_interpreter.command(("daemon",), home.environment, 0.5)
    assert warm_interpreter.command(("--version",), home.environment, 60)[0] == 0


@pytest.mark.started
def test_nothing_is_copied_where_starts_are_tested(home: Home) -> None:
    assert home.warm is None


def test_another_environment_is_no_copy(warm_interpreter: WarmInterpreter) -> None:
    assert warm_interpreter.fits({**os.environ, "DGTUI_STATE": "/elsewhere"})
    assert not warm_interpreter.fits({**os.environ, "TZ": "Asia/Tokyo"})
