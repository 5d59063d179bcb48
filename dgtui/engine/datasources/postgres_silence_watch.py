"""Watching a server while it is loaded: one that answers nobody any more, as where it is frozen, is not waited for."""

import time
from collections.abc import Callable

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_health import ask_postgres
from dgtui.engine.datasources.side_watch import LOOKS, SideWatch, looks
from dgtui.engine.errors import DataGuardianError, ServerTimeout


class SilenceWatch(SideWatch):
    """For a block that waits for the server: gives up, and raises ServerTimeout, where it answers nothing for long.

    A server at work answers, however long its work may take; the system itself notices a network that is cut.
    """

    def __init__(self, access: Access, database: str, patience: float, give_up: Callable[[], None]) -> None:
        """`give_up` is called once, from another thread, after as many seconds without any answer."""
        super().__init__("silence watch")
        self._access = access
        self._database = database
        self._patience = patience
        self._give_up = give_up

    def _watch(self) -> None:
        silent, answered = 0, time.monotonic()
        for begun in looks(self._ended, self._patience):
            silent = 0 if self._answers() else silent + 1
            if not silent:
                answered = begun
            elif silent >= LOOKS and not self._ended.is_set():
                self._error = self._silent_for(time.monotonic() - answered)
                self._give_up()
                return

    def _answers(self) -> bool:
        try:
            ask_postgres(self._access, self._database, float(self._access.settings.connect_timeout))
        except ServerTimeout:
            return False
        except DataGuardianError:
            # To refuse somebody is an answer too.
            return True
        return True

    def _silent_for(self, seconds: float) -> ServerTimeout:
        server = self._access.server
        return ServerTimeout(
            f"{server} answered nothing for {seconds:.0f} s, so the loading was ended",
            subject=server,
            hint="Is it frozen, or does a firewall or proxy on the way keep everything? Start again once it answers; "
            "the `idle_timeout` of the job waits longer",
        )
