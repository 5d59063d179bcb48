"""Questions to the engine, each in a thread of its own, so that no server and no disk can stop the keys.

Textual's own thread workers share a handful of threads: six servers that are frozen would hold up everything else.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from textual.message import Message
from textual.message_pump import MessagePump

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.memory import out_of_memory
from dgtui.engine.threads import Thread

T = TypeVar("T")

AT_ONCE = 8
"""How many slow questions (servers, storages) are under way at the same time."""


class _Question(NamedTuple):
    node: MessagePump
    ask: Callable[[], Any]
    then: Callable[[Any], None]
    failed: Callable[[DataGuardianError], None]
    slow: bool
    about: str


class Answered(Message):
    """A question has its answer."""

    def __init__(self, name: str, question: _Question, value: Any, error: BaseException | None) -> None:
        super().__init__()
        self.name = name
        self.question = question
        self.value = value
        self.error = error


class Asking:
    """Asks each question in its own thread; of the same name only one at a time, and then only the newest."""

    def __init__(self, app: MessagePump, failed: Callable[[DataGuardianError], None]) -> None:
        """`failed` shows an error that the one who asked does not treat."""
        self._app = app
        self._failed = failed
        self._slots = threading.Semaphore(AT_ONCE)
        self._under_way: set[str] = set()
        self._next: dict[str, _Question] = {}

    @property
    def idle(self) -> bool:
        """Whether every question was answered."""
        return not self._under_way

    def ask(
        self,
        node: MessagePump,
        name: str,
        ask: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[DataGuardianError], None] | None = None,
        *,
        slow: bool = False,
        about: str = "",
    ) -> None:
        """Call `ask` in a thread, and then `then` with its answer on the event loop, if `node` is still there.

        Where another question of this name came meanwhile, the answer is of no use, unless both are `about` the same:
        what changes faster than it can be looked at would never be seen.
        """
        question = _Question(node, ask, then, failed or self._failed, slow, about)
        if name in self._under_way:
            self._next[name] = question
        else:
            self._start(name, question)

    def is_asked(self, name: str) -> bool:
        """Whether a question of this name waits for its answer."""
        return name in self._under_way

    def _start(self, name: str, question: _Question) -> None:
        self._under_way.add(name)
        try:
            Thread(target=self._work, args=(name, question), name=f"ask {name}", daemon=True).start()
        except RuntimeError:
            self._app.post_message(Answered(name, question, None, out_of_memory()))

    def _work(self, name: str, question: _Question) -> None:
        value, problem = None, None
        try:
            if question.slow:
                with self._slots:
                    value = question.ask()
            else:
                value = question.ask()
        except BaseException as error:  # noqa: BLE001  # it is raised again where it can be seen, on the event loop
            problem = error
        self._app.post_message(Answered(name, question, value, problem))

    def answered(self, message: Answered) -> None:
        """Hand an answer over; called on the event loop."""
        self._under_way.discard(message.name)
        following = self._next.pop(message.name, None)
        if following is not None:
            # Somebody wanted to know something newer meanwhile.
            self._start(message.name, following)
        question = message.question
        if following is not None and not (question.about and question.about == following.about):
            return
        if not question.node.is_attached or not question.node.is_running:
            return
        if isinstance(message.error, DataGuardianError):
            question.failed(message.error)
        elif message.error is not None:
            raise message.error
        else:
            question.then(message.value)
