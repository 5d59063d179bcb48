"""What the workers of all operations share: the run they speak for, its record where it fails, where backups lie."""

import abc
import contextlib
import fcntl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from dgtui.config import Config, load_config
from dgtui.config.kept import load_kept
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.errors import Cancelled, DataGuardianError, Stopped
from dgtui.engine.files import make_private_folder
from dgtui.engine.memory import memory_explained
from dgtui.engine.messages import now
from dgtui.engine.model import ExecutionStatus, Problem
from dgtui.engine.orders import Order
from dgtui.engine.problems import problem_of
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths

OrderT = TypeVar("OrderT", bound=Order)


def _config_of(order: Order) -> Config:
    kept = Path(order.config_kept) if order.config_kept else None
    # The daemon tidies up: one that was gone before we began was followed by others, and the files are right again.
    if kept is not None and kept.exists():
        return load_kept(kept)
    return load_config(Path(order.config_path) if order.config_path else None)


def end_of(error: DataGuardianError, *, stopped: ExecutionStatus = "cancelled") -> tuple[ExecutionStatus, Problem]:
    """The status of a run that an error ended, `stopped` where a signal did, and the error as it is stored."""
    if isinstance(error, Stopped):
        return stopped, problem_of(error)
    return "cancelled" if isinstance(error, Cancelled) else "failed", problem_of(error)


class Worker(abc.ABC, Generic[OrderT]):
    """Carries out one order, in a process of its own."""

    _stopped: ClassVar[ExecutionStatus] = "cancelled"
    """How a run ends that a signal stops which nobody sent through this program. All of it is cleaned up then."""

    def __init__(self, state: Path, order: OrderT, run: RunWriter, cancellation: Cancellation) -> None:
        self._paths = RunPaths(state)
        self._order = order
        self._run = run
        self._cancellation = cancellation
        self._config = _config_of(order)
        self._scratch = self._paths.scratch(order.run_id)
        self._locks: Sequence[int] = ()

    def execute(self, locks: Sequence[int]) -> None:
        """Do what the order says; the last message tells how it ended.

        `locks` are descriptors of what keeps others from the same job or target.
        """
        self._locks = locks
        self._run.status("running")
        make_private_folder(self._scratch)
        try:
            self._carry_out()
        finally:
            self._leave()
            self._paths.remove_scratch(self._order.run_id)

    @abc.abstractmethod
    def _carry_out(self) -> None:
        """Do the work, record its end, and say the last message."""

    @abc.abstractmethod
    def _leave(self) -> None:
        """Tidy up after the last message, and close the catalogue."""

    def _warn(self, text: str) -> None:
        self._run.log(text, level="warning")

    def _say_end(
        self, status: ExecutionStatus, *, problem: Problem | None = None, warnings: tuple[str, ...] = ()
    ) -> None:
        """Say the last message. Whoever hears it finds nothing left in the scratch folder, and may begin the next run.

        What we still have to do may take its time where the disk is busy, and nobody needs to wait for it.
        """
        self._cancellation.end()
        self._paths.remove_scratch(self._order.run_id)
        for descriptor in self._locks:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        self._run.status(status, problem=problem, warnings=warnings)

    @contextlib.contextmanager
    def _recording_failure(
        self,
        record: Callable[[Any], object],
        started: msgspec.Struct | None,
        after: Callable[[ExecutionStatus, Problem], tuple[str, ...]] = lambda _status, _problem: (),
    ) -> Iterator[None]:
        """Record a failure of the block as the end of what was started, and say it as the last message.

        `after` is what has to be done between the two; it gives warnings.
        """
        try:
            with memory_explained():
                self._cancellation.begin()
                yield
        except DataGuardianError as error:
            self._cancellation.end()
            status, problem = self._end_of(error)
            if started is not None:
                with contextlib.suppress(DataGuardianError), memory_explained():
                    record(msgspec.structs.replace(started, status=status, finished_at=now(), problem=problem))
            warnings = after(status, problem)
            self._say_end(status, problem=problem, warnings=warnings)

    def _end_of(self, error: DataGuardianError) -> tuple[ExecutionStatus, Problem]:
        return end_of(self._cancellation.explained(error), stopped=self._stopped)
