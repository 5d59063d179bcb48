"""A run as JSON: its messages, one a line."""

from collections.abc import Sequence

import msgspec

from dgtui.cli.output import print_data, say
from dgtui.engine.messages import Message, StatusMessage, now
from dgtui.engine.model import ENDED
from dgtui.engine.run_follower import RunSnapshot


class JsonView:
    """Every message as a line of JSON on stdout, with the id of its run."""

    def __init__(self) -> None:
        self._ended = False

    def update(self, messages: Sequence[Message], snapshot: RunSnapshot) -> None:
        """Print them as they come; a run that died without a last message gets one."""
        for message in messages:
            self._print(message, snapshot.run_id)
        if snapshot.ended and not self._ended:
            last = StatusMessage(
                at=snapshot.ended_at or now(),
                status=snapshot.status,
                problem=snapshot.problem,
                warnings=snapshot.warnings,
            )
            self._print(last, snapshot.run_id)

    def _print(self, message: Message, run_id: str) -> None:
        self._ended = self._ended or (isinstance(message, StatusMessage) and message.status in ENDED)
        print_data(msgspec.json.encode({**msgspec.to_builtins(message), "run_id": run_id}).decode())

    def note(self, text: str) -> None:
        """On stderr: stdout belongs to the messages."""
        say(text)

    def close(self) -> None:
        """Nothing to leave."""
