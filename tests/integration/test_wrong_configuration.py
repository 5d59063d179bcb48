"""A configuration that somebody broke: what was recorded is still shown, and what runs can be watched and ended."""

from pathlib import Path

import pytest

from dgtui.config.kept import keep, kept_folder
from dgtui.config.load import read_sources
from tests.support.homes import Home, Outcome, wait_until

_MISTAKE = "\n[datasources.broken\n"


@pytest.fixture
def configuration(home: Home) -> Path:
    """A job behind a gate; the file that says so."""
    folder = home.folder / "tree"
    folder.mkdir()
    (folder / "file").write_text("content")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{folder}"\n', job=home.gate)
    return home.config_path


def test_a_run_is_shown_and_cancelled_beside_it(home: Home, configuration: Path) -> None:
    engine = home.engine()
    run_id = engine.start_job("nightly")
    follower = engine.follower(run_id)

    def works() -> bool:
        follower.poll()
        return follower.snapshot.status == "running"

    # Before that it still reads the configuration itself.
    wait_until(works, "the run to be under way")
    _spoil(configuration)
    status = home.dgtui("status", "--json")
    _warned(status)
    assert [one["run_id"] for one in status.json()] == [run_id]
    _warned(home.dgtui("cancel", run_id))
    assert home.finish(engine, run_id).status == "cancelled"


def test_what_was_recorded_is_shown_beside_it(home: Home, configuration: Path) -> None:
    home.open_gate()
    execution = home.back_up()
    _spoil(configuration)
    for command in (("list",), ("show", execution.execution_id), ("audit",)):
        shown = home.dgtui(*command)
        _warned(shown)
        assert execution.execution_id[:8] in shown.output, command
    _warned(home.dgtui("notifications"))
    _warned(home.dgtui("restores"))


def test_several_mistakes_are_told_as_one_warning(home: Home, configuration: Path) -> None:
    with configuration.open("a", encoding="utf-8") as file:
        file.write("[storages.more]\nplace = 1\n[guardian]\ncleanup = 3\n")
    status = home.dgtui("status")
    _warned(status)
    assert "; " in status.errors
    assert "\\n" not in status.errors


def test_copies_are_known_by_the_configuration_that_was_right_last(home: Home, configuration: Path) -> None:
    home.open_gate()
    execution = home.back_up()
    keep(read_sources(configuration), kept_folder(home.state))
    _spoil(configuration)
    shown = home.dgtui("show", execution.execution_id, "--json")
    _warned(shown)
    assert [copy["status"] for copy in shown.json()["copies"]] == ["available"]


def test_nothing_is_done_by_it(home: Home, configuration: Path) -> None:
    _spoil(configuration)
    for command in (("run", "nightly"), ("cleanup",), ("restore", "nightly@latest", "--yes"), ("health",)):
        refused = home.dgtui(*command)
        assert refused.exit_code == 2, command
        assert "not valid TOML" in refused.errors


def _spoil(configuration: Path) -> None:
    with configuration.open("a", encoding="utf-8") as file:
        file.write(_MISTAKE)


def _warned(outcome: Outcome) -> None:
    assert outcome.exit_code == 0, outcome
    assert "warning: The configuration is wrong, see dgtui check" in outcome.errors
