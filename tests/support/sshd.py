"""An SSH server of the test's own, and terminals that reach it through a real `ssh`."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.homes import PATIENCE_SECONDS, wait_until
from tests.support.ports import free_port

_PROGRAMS = ("sshd", "ssh", "ssh-keygen", "tmux")
_PACKAGES = "openssh-server openssh-client tmux"


def program_path(name: str) -> str | None:
    """Where a program lies; the server's is not on everybody's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


class SshServer:
    """Lets the user who runs the tests in, with a key made for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        for name in ("host", "id"):
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(key, check=True, stdin=subprocess.DEVNULL)
        shutil.copy(folder / "id.pub", folder / "authorized_keys")
        settings = {
            "ListenAddress": "127.0.0.1",
            "Port": self.port,
            "HostKey": folder / "host",
            "PidFile": folder / "pid",
            "AuthorizedKeysFile": folder / "authorized_keys",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "yes",
        }
        (folder / "config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        program = program_path("sshd")
        assert program is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [program, "-D", "-f", str(folder / "config"), "-E", str(folder / "log")], stdin=subprocess.DEVNULL
        )

    def why_not(self) -> str:
        """Why nobody can log in here; empty where it works."""
        wait_until(lambda: (self.folder / "pid").exists() or self._process.poll() is not None, "the SSH server")
        if self._process.poll() is not None:
            return "sshd does not start here: " + (self.folder / "log").read_text().strip()
        attempt = subprocess.run(
            self.command("true"), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return f"sshd lets nobody in here: {attempt.stderr.strip()}" if attempt.returncode else ""

    def command(self, remote: str) -> list[str]:
        """An ssh that runs a command on a terminal there."""
        options = ["StrictHostKeyChecking=no", f"UserKnownHostsFile={self.folder / 'known'}", "LogLevel=ERROR"]
        flags = [part for option in options for part in ("-o", option)]
        reach = ["-i", str(self.folder / "id"), "-p", str(self.port), "127.0.0.1", remote]
        return ["ssh", "-tt", "-F", "none", *flags, *reach]

    def drop_connections(self) -> None:
        """Cut every session as a broken line would: its server side is gone at once."""
        listener = self._process.pid
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == listener:
                os.kill(int(path.parent.name), signal.SIGKILL)

    def stop(self) -> None:
        """End it with all its sessions."""
        self.drop_connections()
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)


class Tmux:
    """A tmux server of the test's own with one window."""

    def __init__(self, command: list[str], *, size: tuple[int, int] = (100, 30)) -> None:
        # Short: the path of a socket may have a hundred characters.
        self._folder = tempfile.mkdtemp(prefix="tmux-")
        self._run("new-session", "-d", "-s", "w", "-x", str(size[0]), "-y", str(size[1]), *command)
        self._run("set-option", "-t", "w", "remain-on-exit", "on")

    def _run(self, *arguments: str) -> str:
        command = ["tmux", "-S", f"{self._folder}/s", "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def press(self, *keys: str) -> None:
        """Press keys, as tmux names them."""
        for key in keys:
            self._run("send-keys", "-t", "w", key)
            time.sleep(0.05)

    @property
    def text(self) -> str:
        """What is on the screen."""
        return self._run("capture-pane", "-p", "-t", "w")

    @property
    def ended(self) -> bool:
        """Whether the program came to its end."""
        return self._run("display-message", "-p", "-t", "w", "#{pane_dead}").strip() == "1"

    def until(self, *words: str) -> None:
        """Wait until all these words stand on the screen; fails with what stands there instead."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(word in self.text for word in words):
            if time.monotonic() > deadline:
                pytest.fail(f"waited in vain for {words} on\n{self.text}")
            time.sleep(0.05)

    def close(self) -> None:
        """End the server."""
        command = ["tmux", "-S", f"{self._folder}/s", "kill-server"]
        subprocess.run(command, check=False, capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def remote_program(environment: dict[str, str]) -> str:
    """A shell command that starts the screens with what a home needs in its environment."""
    wanted = {key: environment[key] for key in ("DGTUI_CONFIG", "DGTUI_STATE")} | {"LANG": "C.UTF-8"}
    settings = " ".join(f"{key}={shlex.quote(value)}" for key, value in wanted.items())
    return f"env {settings} TERM=xterm-256color {shlex.quote(sys.executable)} -m dgtui"


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[SshServer]:
    """An SSH server, where this system has one and lets it in."""
    missing = [name for name in _PROGRAMS if program_path(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: apt-get install {_PACKAGES}")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    try:
        server = SshServer(folder)
    except OSError as error:
        pytest.skip(f"sshd cannot be started here: {error}")
    try:
        if why_not := server.why_not():
            pytest.skip(why_not)
        yield server
    finally:
        server.stop()
