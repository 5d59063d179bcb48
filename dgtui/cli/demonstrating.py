"""`demo`: the whole way, with a real engine, in a folder of its own."""

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.demo_shop import digest, drop_orders, make_shop, rows_of
from dgtui.cli.output import print_data
from dgtui.engine.errors import EXIT_DAMAGED, EXIT_DONE, ConfigError, RestoreError

if TYPE_CHECKING:
    from dgtui.engine import Engine

_CONFIG = """\
[storages.disk]
type = "local"
path = {disk}

[storages.second-disk]
type = "local"
path = {second}

[datasources.shop]
type = "sqlite"
path = {database}

[jobs.shop-nightly]
datasource = "shop"
storages = ["disk", "second-disk"]
compression = "zstd:3"
"""


def demo(
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="An empty or new folder to work in.", show_default=False)
    ] = None,
) -> None:
    """See a small shop backed up, broken and restored."""
    place = _empty_folder(folder)
    config_path, database = place / "config.toml", place / "shop.db"
    os.environ.update(DGTUI_CONFIG=str(config_path), DGTUI_STATE=str(place / "state"))
    make_shop(database)
    config_path.write_text(
        _CONFIG.format(
            disk=json.dumps(str(place / "disk")),
            second=json.dumps(str(place / "second-disk")),
            database=json.dumps(str(database)),
        )
    )
    print_data(f"A shop with {rows_of(database, 'orders'):,} orders: {database}")
    print_data(f"Its configuration:  {config_path}")
    _there_and_back(database)
    print_data("\nTry it yourself:\n")
    print_data(f"  export DGTUI_CONFIG={shlex.quote(str(config_path))} DGTUI_STATE={shlex.quote(str(place / 'state'))}")
    program = _program()
    print_data(f"  {program} list; {program} show shop-nightly@latest; {program} --run-job shop-nightly\n")
    print_data(f"The folder stays until you remove it:  rm -r {shlex.quote(str(place))}")


def _program() -> str:
    """How the program is called from a shell that stands here."""
    if shutil.which("dgtui"):
        return "dgtui"
    called = Path(sys.argv[0])
    return shlex.quote(str(called)) if called.name == "dgtui" else f"{shlex.quote(sys.executable)} -m dgtui"


def _empty_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="dgtui-demo-"))
    place = folder.absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConfigError(
            f"{place} is not an empty folder", subject=str(place), hint="Name another one with --folder, or none"
        )
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def _there_and_back(database: Path) -> None:
    """Back up, list, break, restore, compare. Raises typer.Exit or RestoreError where anything does not hold."""
    from dgtui.cli.watch import open_engine

    before = digest(database)
    with open_engine() as engine:
        _step("dgtui --run-job shop-nightly")
        _must_succeed(engine, lambda: engine.start_job("shop-nightly"))
        backup = engine.execution("shop-nightly@latest")
        _step("dgtui list")
        _list(engine)
        _step("dgtui validate shop-nightly@latest")
        _must_succeed(engine, lambda: engine.start_validate(backup))
        _step(f'sqlite3 {shlex.quote(str(database))} "DROP TABLE orders"     (the bad moment)')
        drop_orders(database)
        if digest(database) == before:
            raise RestoreError("The demo could not break its own database", subject=str(database))
        _step("dgtui restore shop-nightly@latest --overwrite --yes")
        _must_succeed(engine, lambda: engine.start_restore(backup, overwrite=True, reason="dgtui demo"))
        kept_as = engine.restores(backup.execution_id)[0].kept_as
    if digest(database) != before:
        print_data("The restored shop differs from the one that was backed up")
        raise typer.Exit(EXIT_DAMAGED)
    print_data(f"\nThe shop is back, every row of it: {rows_of(database, 'orders'):,} orders, equal to before.")
    if kept_as:
        print_data(f"The broken one was kept:  {kept_as}")


def _step(command: str) -> None:
    print_data(f"\n$ {command}")


def _list(engine: "Engine") -> None:
    from dgtui.cli.looking import output_width, teller
    from dgtui.wording.terminal import look_of

    for lines in engine.listed(teller({}, engine.config, look=look_of(sys.stdout), width=output_width())):
        print_data(lines)


def _must_succeed(engine: "Engine", start: Callable[[], str]) -> None:
    from dgtui.cli.watch import start_and_watch

    code = start_and_watch(engine, start)
    if code != EXIT_DONE:
        raise typer.Exit(code)
