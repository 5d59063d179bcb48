"""A program run as a child: dies with us, never asks on a terminal, its last lines kept, its exit code checked."""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from dgtui.engine.errors import IdleTimeout, ToolMissing
from dgtui.engine.threads import Thread

TAIL_LINES = 25
_LONGEST_LINE = 4096
_STOP_SECONDS = 5.0
_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_withheld: set[str] = set()
"""Variables of our environment that hold secrets."""


def withhold(variables: Iterable[str]) -> None:
    """Keep these variables of our environment too from the programs that are started from now on."""
    _withheld.update(variables)


def as_comment(text: str) -> str:
    """A text from outside as one line of a shell's comment: a newline in a name must not begin a command."""
    return "#   " + printable(text).replace("\n", "\\x0a").replace("\t", " ")


def printable(text: str) -> str:
    """Replace control characters, so that a name or a server's message cannot steer a terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Blot out secrets in a text that came from outside."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text


class Child:
    """A running child process in a process group of its own.

    Its stderr is read line by line in a thread. It is killed when the thread that started it ends (`setpriv
    --pdeathsig`), so start it from a thread that outlives it.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        secrets: Sequence[str] = (),
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
        folder: Path | None = None,
        trusted: bool = False,
    ) -> None:
        """Start the program; `environment` is added to ours, of which only a trusted one gets what is withheld.

        Raises ToolMissing, and RuntimeError where there is no memory for it.
        """
        self.name = Path(arguments[0]).name
        self._on_line = on_line
        self._secrets = tuple(secrets)
        self._gone = False
        """Nothing of the process group is left, so that its number may be another's by now."""
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        program = shutil.which(arguments[0])
        if program is None:
            raise _missing(arguments[0])
        self.process = subprocess.Popen(
            [*prefix, program, *arguments[1:]],
            env={**_inherited(trusted=trusted), "LC_ALL": "C.UTF-8", **(environment or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            cwd=folder,
        )
        self._reader = Thread(target=self._read_stderr, name=f"stderr of {self.name}", daemon=True)
        try:
            self._reader.start()
        except RuntimeError:
            with self.process:
                self.process.kill()
            raise

    @property
    def stdout_fd(self) -> int:
        """File descriptor of the child's output."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    @property
    def stdin_fd(self) -> int:
        """File descriptor of the child's input."""
        assert self.process.stdin is not None
        return self.process.stdin.fileno()

    def feed(self, blocks: Iterable[bytes], *, idle_timeout: float | None) -> None:
        """Write blocks to the child's input and close it; a child that stops reading early is not an error here.

        Judge the child by its exit code afterwards. Raises IdleTimeout where it took nothing for that many seconds,
        if any are given.
        """
        descriptor = self.stdin_fd
        os.set_blocking(descriptor, False)
        try:
            for block in blocks:
                self._write_all(descriptor, memoryview(block), idle_timeout)
        except BrokenPipeError:
            pass
        finally:
            self.close_stdin()

    def _write_all(self, descriptor: int, view: memoryview, idle_timeout: float | None) -> None:
        while view:
            _, writable, _ = select.select([], [descriptor], [], idle_timeout)
            if not writable:
                raise IdleTimeout(
                    f"{self.name} took no data for {idle_timeout:.0f} s and was ended",
                    subject=self.name,
                    hint="Is the server frozen, or waiting for a lock?",
                )
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                continue

    def close_stdin(self) -> None:
        """Tell the child that no more input comes."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and for all of stderr; the exit code (negative: the signal).

        Raises subprocess.TimeoutExpired.
        """
        code = self.process.wait(timeout)
        # At once: whoever stops us much later would end a stranger that was given the number meanwhile.
        self._group_alive()
        self._reader.join(_STOP_SECONDS)
        return code

    def stop(self) -> None:
        """End the whole process group: TERM, and KILL for what is still there; never raises."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            if not self._signal_group(signal_number):
                break
            deadline = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < deadline and self._group_alive():
                try:
                    self.process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
                if self._group_alive():
                    time.sleep(0.02)
        self.close()

    def close(self) -> None:
        """Close our ends of the pipes."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._reader.join(_STOP_SECONDS)
        if self.process.stderr is not None and not self._reader.is_alive():
            self.process.stderr.close()

    def _group_alive(self) -> bool:
        self.process.poll()
        return self._signal_group(0)

    def _signal_group(self, signal_number: int) -> bool:
        if self._gone:
            return False
        try:
            os.killpg(self.process.pid, signal_number)
        except ProcessLookupError:
            self._gone = True
            return False
        except PermissionError:
            return False
        return True

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        while raw := self.process.stderr.readline(_LONGEST_LINE):
            line = printable(
                redact(raw.decode("utf-8", "backslashreplace").rstrip("\n").replace("\t", " "), self._secrets)
            )
            if line:
                self.tail.append(line)
                if self._on_line is not None:
                    self._on_line(line)


def _missing(program: str) -> ToolMissing:
    """Why a program cannot be started: a path is not looked for anywhere else."""
    path, name = Path(program).absolute(), Path(program).name
    if os.sep in program:
        wrong = "is a folder" if path.is_dir() else "may not be executed" if path.exists() else "does not exist"
        return ToolMissing(f"{path} {wrong}", subject=str(path), hint="Correct its path, or the rights of the file")
    return ToolMissing(
        f"{name} is not installed (looked in {os.environ.get('PATH', '')})",
        subject=name,
        hint=f"Install the package with {name}, or name its folder with `tools` in the configuration",
    )


def _inherited(*, trusted: bool) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if trusted or name not in _withheld}


def describe_exit(code: int) -> str:
    """An exit code as people say it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def widen_pipe(descriptor: int) -> None:
    """Give a pipe a larger buffer where the system allows it: fewer switches between the two sides."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (OSError, AttributeError):
        pass


def run_tool(
    arguments: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
) -> tuple[int, str, str]:
    """Run a short-lived program; exit code, output and error output. Raises as `output_of`."""
    code, output, tail = output_of(arguments, timeout=timeout, environment=environment, secrets=secrets)
    return code, output.decode("utf-8", "backslashreplace"), "\n".join(tail)


def output_of(
    arguments: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
) -> tuple[int, bytes, tuple[str, ...]]:
    """Run a short-lived program; exit code, output, and the last lines of its error output.

    Raises ToolMissing, and IdleTimeout where it takes longer than `timeout` seconds.
    """
    child = Child(arguments, environment=environment, secrets=secrets)
    blocks: list[bytes] = []
    # A descriptor of its own: whoever the program leaves behind may hold the pipe open for as long as it likes.
    reader = Thread(target=_collect, args=(os.dup(child.stdout_fd), blocks), daemon=True)
    reader.start()
    try:
        code = child.wait(timeout)
        reader.join(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise IdleTimeout(
            f"{child.name} did not answer within {timeout:.0f} s",
            subject=child.name,
            hint="Is a server that it asks frozen, or this machine overloaded?",
        ) from None
    finally:
        child.stop()
    return code, b"".join(blocks), tuple(child.tail)


def _collect(descriptor: int, blocks: list[bytes]) -> None:
    with open(descriptor, "rb", buffering=0) as stream:
        while block := stream.read(_READ_BYTES):
            blocks.append(block)
