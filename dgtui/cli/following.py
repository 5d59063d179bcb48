"""`follow` and `cancel`."""

import time
from typing import TYPE_CHECKING

import typer

from dgtui.cli.options import AsJson, Execution, MessagesAsJson
from dgtui.cli.output import print_json, say
from dgtui.engine.errors import EXIT_DONE, EXIT_FAILED
from dgtui.wording.words import short_id

if TYPE_CHECKING:
    from dgtui.engine import Engine
    from dgtui.engine.run_follower import RunSnapshot

_POLL_SECONDS = 0.05


def follow(execution: Execution, as_json: MessagesAsJson = False) -> None:
    """Watch a run that is under way, and end as it does."""
    from dgtui.cli.watch import open_beside_mistakes, watch

    with open_beside_mistakes() as engine:
        raise typer.Exit(watch(engine, engine.run_reference(execution), as_json=as_json))


def cancel(execution: Execution, as_json: AsJson = False) -> None:
    """Cancel a run and wait until it has cleaned up."""
    from dgtui.cli.watch import open_beside_mistakes

    with open_beside_mistakes() as engine:
        snapshot, asked = _cancel(engine, engine.run_reference(execution))
    if as_json:
        print_json({"run_id": snapshot.run_id, "status": snapshot.status})
    if asked and snapshot.status == "cancelled":
        say(f"{short_id(snapshot.run_id)} was cancelled")
        raise typer.Exit(EXIT_DONE)
    say(f"{short_id(snapshot.run_id)} could not be cancelled: it had ended {snapshot.status}")
    raise typer.Exit(EXIT_FAILED)


def _cancel(engine: "Engine", run_id: str) -> "tuple[RunSnapshot, bool]":
    """Ask a run to stop, and wait for its end; how it ended, and whether it was asked at all."""
    follower = engine.follower(run_id)
    follower.poll()
    asked = False
    while not follower.snapshot.ended:
        asked = asked or engine.cancel(run_id)
        time.sleep(_POLL_SECONDS)
        follower.poll()
    return follower.snapshot, asked
