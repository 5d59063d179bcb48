"""The screens begin under each version of Python, whatever way its tasks begin."""

import asyncio
from pathlib import Path
from typing import Any

from tests.tui.still_life import still_app


def _as_textual_wants_it(loop: asyncio.AbstractEventLoop, work: Any, **about: Any) -> asyncio.Task[Any]:
    return asyncio.Task(work, loop=loop, **about)


async def test_tasks_begin_in_turn(tmp_path: Path) -> None:
    """Where they begin at once, an Input of the first screen looks for it before it stands (see test_pictures too)."""
    asyncio.get_running_loop().set_task_factory(_as_textual_wants_it)
    app = still_app(tmp_path)
    async with app.run_test():
        assert asyncio.get_running_loop().get_task_factory() is None
    app.close_engine()
