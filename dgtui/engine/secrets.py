"""Fetches secrets from where the configuration says they are; no error ever holds what was found there."""

import contextlib
import errno
import os
import select
import shlex
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from dgtui.engine.errors import ConfigError
from dgtui.engine.settings import Secret, SecretReference

COMMAND_SECONDS = 30.0
"""How long a command that gives a secret may take."""
_LONGEST_SECRET = 65536
_POLL_SECONDS = 0.1


class HiddenText(str):
    """A secret as text; where somebody prints the variables of a program that failed, it does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Nothing of the secret, not even its length."""
        return "'***'"


SecretObserver = Callable[[str, str], None]
"""Told of each secret that is read by a reference: for which key, and from where; never the secret."""
_observer: list[SecretObserver] = []


def observe_secrets(observer: SecretObserver | None) -> None:
    """Have this process tell what it reads to this observer and no other; to nobody where None."""
    _observer[:] = [observer] if observer is not None else []


def reference_mistake(reference: SecretReference) -> str | None:
    """What is wrong with the form of a reference, without looking at what it points to."""
    if reference.env is not None:
        usable = reference.env and not set(reference.env) & {"=", "\0"}
        return None if usable else "env: expected the name of an environment variable"
    if reference.file is not None:
        return None if reference.file and "\0" not in reference.file else "file: expected the path of a file"
    if reference.keyring is not None:
        return None if all(_keyring_entry(reference.keyring)) else "keyring: expected 'service/user'"
    return _command_mistake(reference)


def _command_mistake(reference: SecretReference) -> str | None:
    try:
        arguments = _command_arguments(reference)
    except ValueError:
        return "command: a quotation mark is not closed"
    if not arguments or not arguments[0] or any("\0" in argument for argument in arguments):
        return "command: expected a program and its arguments"
    # A run's worker has another working folder than the shell that ordered the run.
    if "/" in arguments[0] and not _expand_home(arguments[0]).startswith("/"):
        return "command: expected a program of the PATH, or its absolute path"
    return None


def fetch_secret(secret: Secret, *, subject: str = "") -> HiddenText:
    """The secret itself; `subject` names the key that wants it.

    Raises ConfigError, which names the reference and never the value.
    """
    if isinstance(secret, str):
        return HiddenText(secret)
    mistake = reference_mistake(secret)
    if mistake is not None:
        raise ConfigError(mistake, subject=subject)
    value, place = _fetched(secret, subject)
    for observer in _observer:
        observer(subject, place)
    return value


def _fetched(secret: SecretReference, subject: str) -> tuple[HiddenText, str]:
    """The secret, and where it was."""
    if secret.env is not None:
        return _from_environment(secret.env, subject), f"the environment variable {secret.env}"
    if secret.file is not None:
        return _from_file(Path(_expand_home(secret.file)), subject), f"the file {secret.file}"
    if secret.keyring is not None:
        return _from_keyring(secret.keyring, subject), f"the keyring entry {secret.keyring}"
    arguments = _command_arguments(secret)
    return _from_command(arguments, subject), f"the command {arguments[0]}"


def _expand_home(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111  # pathlib turns ./x into x, and raises for an unknown user


def _from_environment(name: str, subject: str) -> HiddenText:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(
            f"the environment variable {name} is not set",
            subject=subject,
            hint=f"Set it where dgtui starts: export {name}=...",
        )
    return _usable(value, f"the environment variable {name}", subject)


def _from_file(path: Path, subject: str) -> HiddenText:
    where = f"the secret file {path}"
    try:
        # A named pipe without a writer would keep us waiting for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check_private(path, os.fstat(descriptor), where, subject)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(_LONGEST_SECRET + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(
            f"{where} cannot be read: {error.strerror}", subject=subject, hint=_file_hint(path, error.errno)
        ) from None
    return _first_line(data, where, subject)


def _file_hint(path: Path, code: int | None) -> str:
    quoted = shlex.quote(str(path))
    if code == errno.ENOENT:
        return f"Type the secret, Enter and Ctrl+D after: install -m 600 /dev/stdin {quoted}"
    return f"See: ls -l {quoted}"


def _check_private(path: Path, status: os.stat_result, where: str, subject: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{where} is not a plain file", subject=subject)
    # What root gives us to read it gives by a group, or by an access list, which shows as one: so do systemd's
    # credentials and the secrets of Kubernetes.
    given = status.st_uid == 0 and os.geteuid() != 0
    if status.st_mode & (0o037 if given else 0o077):
        raise ConfigError(
            f"{where} can be read or changed by others", subject=subject, hint=f"chmod 600 {shlex.quote(str(path))}"
        )


def _from_keyring(entry: str, subject: str) -> HiddenText:
    service, user = _keyring_entry(entry)
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise ConfigError(
            f"the library for the keyring entry {entry} is not installed",
            subject=subject,
            hint="pip install 'dgtui[keyring]'",
        ) from None
    try:
        value = keyring.get_password(service, user)
    except KeyringError as error:
        raise ConfigError(
            f"the keyring entry {entry} cannot be read ({type(error).__name__})",
            subject=subject,
            hint="Is the keyring unlocked, and is there one for this user? Try: keyring diagnose",
        ) from None
    if value is None:
        raise ConfigError(
            f"the keyring has no entry {entry}",
            subject=subject,
            hint=f"keyring set {shlex.quote(service)} {shlex.quote(user)}",
        )
    return _usable(value, f"the keyring entry {entry}", subject)


def _keyring_entry(entry: str) -> tuple[str, str]:
    service, _, user = entry.rpartition("/")
    return service, user


def _command_arguments(reference: SecretReference) -> list[str]:
    command = reference.command or ()
    return shlex.split(command) if isinstance(command, str) else list(command)


def _from_command(arguments: list[str], subject: str) -> HiddenText:
    # The arguments are not named: people write tokens there.
    where = f"the command {arguments[0]}"
    program = shutil.which(_expand_home(arguments[0]))
    if program is None:
        raise ConfigError(
            f"{where}, which gives a secret, is not there or cannot be executed",
            subject=subject,
            hint=f"Looked in {os.environ.get('PATH', '')}",
        )
    try:
        # Its error output is not shown either: it can hold the secret as well.
        process = subprocess.Popen(
            [program, *arguments[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"{where}, which gives a secret, cannot run: {error.strerror}", subject=subject) from None
    try:
        data, code = _output(process)
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{where}, which gives a secret, took longer than {COMMAND_SECONDS:g} s and was ended",
            subject=subject,
            hint="Run it by hand: does it wait for an answer?",
        ) from None
    if code != 0:
        end = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise ConfigError(
            f"{where}, which gives a secret, failed with {end}", subject=subject, hint="Run it by hand to see why"
        )
    return _first_line(data, f"the output of {where}", subject)


def _output(process: subprocess.Popen[bytes]) -> tuple[bytes, int]:
    """The beginning of what a program prints, and its exit code; raises subprocess.TimeoutExpired."""
    assert process.stdout is not None
    deadline = time.monotonic() + COMMAND_SECONDS
    data = b""
    with process.stdout as stdout:
        try:
            while (left := deadline - time.monotonic()) > 0:
                ended = process.poll() is not None
                if select.select([stdout], [], [], 0 if ended else min(left, _POLL_SECONDS))[0]:
                    block = os.read(stdout.fileno(), _LONGEST_SECRET)
                    if not block:
                        break
                    data += block[: _LONGEST_SECRET + 1 - len(data)]
                elif ended:
                    # An agent that the program left behind may hold the pipe open for days.
                    break
            return data, process.wait(max(0.0, deadline - time.monotonic()))
        except BaseException:
            _kill(process)
            raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _first_line(data: bytes, where: str, subject: str) -> HiddenText:
    line = data.partition(b"\n")[0].removesuffix(b"\r")
    if len(line) > _LONGEST_SECRET:
        raise ConfigError(f"{where} has a first line of more than {_LONGEST_SECRET} bytes", subject=subject)
    try:
        return _usable(line.decode("utf-8"), where, subject)
    except UnicodeDecodeError:
        raise ConfigError(f"{where} is not text in UTF-8", subject=subject) from None


def _usable(value: str, where: str, subject: str) -> HiddenText:
    if not value:
        raise ConfigError(f"{where} is empty", subject=subject)
    if "\0" in value:
        raise ConfigError(f"{where} holds a zero byte", subject=subject)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ConfigError(f"{where} is not text in UTF-8", subject=subject)
    return HiddenText(value)
