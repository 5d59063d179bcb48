"""Restores that wait for somebody's lock."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.support.homes import PATIENCE_SECONDS, Home


def restored_while_waiting(home: Home, *choice: str, then: Callable[[str], object]) -> list[dict[str, Any]]:
    """Restore the newest backup by command, and once it says that it waits, do what follows; all messages of it.

    `then` is called with the line that says so. Where it gives a signal, that is sent.
    """
    command = [sys.executable, "-m", "dgtui", "restore", "nightly@latest", *choice, "--overwrite", "--yes", "--json"]
    with subprocess.Popen(command, env=home.environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            messages = []
            for line in process.stdout:
                messages.append(json.loads(line))
                if str(messages[-1].get("text", "")).startswith("Waiting for a lock"):
                    ending = then(messages[-1]["text"])
                    if isinstance(ending, signal.Signals):
                        process.send_signal(ending)
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
    return messages


def texts(messages: list[dict[str, Any]]) -> list[str]:
    """The lines of the log."""
    return [str(message["text"]) for message in messages if "text" in message]
