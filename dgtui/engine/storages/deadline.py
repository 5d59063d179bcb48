"""Calls that may never come back: a network mount whose server is gone blocks whoever touches it, signals or not."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from dgtui.engine.errors import StorageError

ResultT = TypeVar("ResultT")


def with_deadline(function: Callable[[], ResultT], seconds: float, *, subject: str) -> ResultT:
    """The function's result or its error; raises StorageError where it takes longer than `seconds`.

    A call that never ends keeps its thread, which does not keep the process from ending.
    """
    answers: queue.SimpleQueue[tuple[ResultT, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def call() -> None:
        try:
            answers.put((function(), None))
        except BaseException as error:  # noqa: BLE001  # it is raised again where somebody waits for it
            answers.put((None, error))

    threading.Thread(target=call, name=f"look at {subject}", daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise StorageError(
            f"The storage does not answer: nothing from {subject} within {seconds:g} s",
            subject=subject,
            hint=f"Is the network mount's server gone, or the disk frozen? See: findmnt -T {subject}",
        ) from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error it is the function's result
