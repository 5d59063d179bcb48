"""A run as plain lines, where there is no terminal to draw on."""

import time
from collections.abc import Callable, Sequence

from dgtui.cli.output import say
from dgtui.engine.messages import LogMessage, Message, PhaseMessage, ProgressMessage, StatusMessage, StorageMessage
from dgtui.engine.run_follower import RunSnapshot
from dgtui.wording.panel import log_text, object_words, progress_words, storage_words
from dgtui.wording.states import PHASE_WORDS
from dgtui.wording.words import one_line


class PlainView:
    """Lines on stderr: phases, the log, and every 10 % or 10 s how far it is."""

    _SECONDS = 10.0
    _STEP = 10

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that only go forward."""
        self._clock = clock
        self._said_at = clock()
        self._said_step = 0
        self._storage_states: dict[str, tuple[str, bool]] = {}
        """How each storage stood when it was last told, and whether it was silent."""
        say(one_line(title))

    def update(self, messages: Sequence[Message], snapshot: RunSnapshot) -> None:
        """Say what is worth a line."""
        for message in messages:
            text = self._words(message)
            if text:
                say(f"{message.at.astimezone():%H:%M:%S} {text}")
        self._say_progress(snapshot)

    def _words(self, message: Message) -> str:
        match message:
            case PhaseMessage():
                return PHASE_WORDS[message.phase]
            case LogMessage():
                level = "" if message.level == "info" else f"{message.level}: "
                return level + log_text(message)
            case StorageMessage():
                state = (message.state, bool(message.silent_seconds))
                changed = self._storage_states.get(message.name, ("writing", False)) != state
                self._storage_states[message.name] = state
                return f"{one_line(message.name)}: {storage_words(message)}" if changed else ""
            case ProgressMessage() | StatusMessage():
                return ""

    def _say_progress(self, snapshot: RunSnapshot) -> None:
        progress = snapshot.progress
        if progress is None or snapshot.ended:
            return
        step = int((snapshot.fraction or 0) * 100) // self._STEP
        moment = self._clock()
        if step <= self._said_step and moment - self._said_at < self._SECONDS:
            return
        self._said_step, self._said_at = max(step, self._said_step), moment
        words = [*progress_words(snapshot, progress), object_words(progress)]
        say(f"{progress.at.astimezone():%H:%M:%S} {'  '.join(filter(None, words))}")

    def note(self, text: str) -> None:
        """A line of its own."""
        say(text)

    def close(self) -> None:
        """Nothing to leave."""
