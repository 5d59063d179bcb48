"""Work that goes on beside the way of an operation, in a thread of its own, so that neither waits for the other."""

from collections.abc import Callable

from dgtui.engine.threads import Thread


class Beside:
    """Work under way in a thread; whatever it raises is raised by `finish`."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="beside", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the end of the work. Raises its error."""
        self.wait()
        if self._error is not None:
            raise self._error

    def wait(self) -> None:
        """Wait for the end of the work, however it ends."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # raised again where its end is waited for
            self._error = error
