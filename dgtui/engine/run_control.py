"""Runs of this machine, by their files alone: what they are, how they go, and how they are told to stop."""

import contextlib
import os
import signal

import msgspec

from dgtui.engine.cancellation import CANCEL
from dgtui.engine.orders import decode_order, run_info
from dgtui.engine.run_follower import RunFollower
from dgtui.engine.runs import RunInfo, RunPaths


class RunControl:
    """Follows and stops the runs of one state folder, whoever started them; it needs no catalogue."""

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths

    def follower(self, run_id: str, *, log_lines: int = 5) -> RunFollower:
        """Follow a run's messages, from its first one."""
        return RunFollower(self.paths, run_id, log_lines=log_lines)

    def running(self) -> list[RunInfo]:
        """What is running now, on this machine with this state folder, whoever started it."""
        return [info for run_id in self.paths.living() if (info := self.run_info(run_id)) is not None]

    def run_info(self, run_id: str) -> RunInfo | None:
        """What a run was asked to do; None where that is not known."""
        try:
            return run_info(decode_order(self.paths.request(run_id).read_bytes()))
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def cancel(self, run_id: str) -> bool:
        """Ask a run to stop; it says `cancelled` itself once everything is cleaned up.

        False where nothing was there to be asked: it has ended, or its process is not there yet.
        """
        return self._send(run_id, CANCEL)

    def stop(self, run_id: str) -> bool:
        """Pass on that the machine or a service is being stopped: the same, but the run says so, and it is news."""
        return self._send(run_id, signal.SIGTERM)

    def _send(self, run_id: str, number: signal.Signals) -> bool:
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int(self.paths.lock(run_id).read_text())
            if self.paths.is_alive(run_id):
                os.kill(pid, number)
                return True
        return False
