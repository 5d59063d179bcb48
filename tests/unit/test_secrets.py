"""Secrets are fetched from where they are, and never shown."""

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import keyring
import keyring.backend
import keyring.errors
import pytest

from dgtui.engine import secrets
from dgtui.engine.errors import ConfigError
from dgtui.engine.secrets import fetch_secret
from dgtui.engine.settings import SecretReference
from tests.support.homes import PATIENCE_SECONDS
from tests.support.nobody import as_nobody

WORD = "pass wörd'\"\\$HOME "


def refused(reference: SecretReference) -> ConfigError:
    """The error, which names the key that wants the secret and never the secret."""
    with pytest.raises(ConfigError) as caught:
        fetch_secret(reference, subject="datasources.shop.password")
    error = caught.value
    assert error.subject == "datasources.shop.password"
    assert "hunter2" not in f"{error} {error.hint} {error.detail}"
    assert error.__suppress_context__ or error.__context__ is None, "a traceback would show where it came from"
    return error


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> SecretReference:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return SecretReference(file=str(path))


def shell(script: str) -> SecretReference:
    return SecretReference(command=("sh", "-c", script))


def test_a_literal() -> None:
    assert fetch_secret(WORD) == WORD
    assert repr(fetch_secret(WORD)) == "'***'"
    assert f"{fetch_secret(WORD)}" == WORD


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", WORD)
    assert fetch_secret(SecretReference(env="SHOP")) == WORD
    monkeypatch.setenv("SHOP", "")
    assert refused(SecretReference(env="SHOP")).message == "the environment variable SHOP is empty"
    monkeypatch.delenv("SHOP")
    assert refused(SecretReference(env="SHOP")).message == "the environment variable SHOP is not set"
    os.environb[b"SHOP"] = b"hunter2\xff"
    monkeypatch.setenv("SHOP", os.environ["SHOP"])
    assert refused(SecretReference(env="SHOP")).message == "the environment variable SHOP is not text in UTF-8"


@pytest.mark.parametrize("content", [WORD, WORD + "\n", WORD + "\r\n", WORD + "\nsecond line\n\0"])
def test_the_first_line_of_a_file(tmp_path: Path, content: str) -> None:
    assert fetch_secret(secret_file(tmp_path, content.encode())) == WORD


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    error = refused(secret_file(tmp_path, b"hunter2", mode))
    assert error.message.endswith("can be read or changed by others")
    assert subprocess.run(["sh", "-c", error.hint], check=False).returncode == 0, "the hint is a command that mends it"
    assert fetch_secret(SecretReference(file=str(tmp_path / "secret"))) == "hunter2"


_FETCH = """
import sys
from dgtui.engine.errors import ConfigError
from dgtui.engine.secrets import fetch_secret
from dgtui.engine.settings import SecretReference
try:
    print(fetch_secret(SecretReference(file=sys.argv[1])))
except ConfigError as error:
    print(error.message)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("given", [["setfacl", "-m", "u:65534:r"], ["chgrp", "65534"]])
def test_a_file_that_root_gives_us(given: list[str]) -> None:
    """As systemd gives its credentials, and Kubernetes its secrets; what others may change is refused all the same."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        path = folder / "secret"
        path.write_text("hunter2\n")
        path.chmod(0o440)
        if shutil.which(given[0]) is None or subprocess.run([*given, str(path)], check=False).returncode != 0:
            pytest.skip(f"{given[0]} is not there, or of no use here")

        def fetched() -> str:
            return as_nobody(_FETCH, str(path))

        assert fetched() == "hunter2\n"
        for mode in (0o460, 0o444):
            path.chmod(mode)
            assert fetched() == f"the secret file {path} can be read or changed by others\n"
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\nhunter2", "is empty"),
        (b"hunter2\xff", "is not text in UTF-8"),
        (b"hunter2\0", "holds a zero byte"),
        (b"hunter2" * 20000, "has a first line of more than 65536 bytes"),
    ],
)
def test_a_file_without_a_usable_secret(tmp_path: Path, content: bytes, expected: str) -> None:
    assert refused(secret_file(tmp_path, content)).message == f"the secret file {tmp_path}/secret {expected}"


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "No such file" in refused(SecretReference(file=str(tmp_path / "none"))).message
    assert "is not a plain file" in refused(SecretReference(file=str(tmp_path))).message
    assert "is not a plain file" in refused(SecretReference(file="/dev/zero")).message
    os.mkfifo(tmp_path / "pipe")
    assert "is not a plain file" in refused(SecretReference(file=str(tmp_path / "pipe"))).message
    (tmp_path / "loop").symlink_to("loop")
    assert "cannot be read" in refused(SecretReference(file=str(tmp_path / "loop"))).message
    assert "cannot be read" in refused(SecretReference(file="~no-such-user/x")).message


def test_the_output_of_a_command(tmp_path: Path) -> None:
    program = tmp_path / "a program"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$1"; echo second line; echo complaint >&2\n')
    program.chmod(0o700)
    assert fetch_secret(SecretReference(command=(str(program), WORD))) == WORD
    assert fetch_secret(SecretReference(command=f"'{program}' 'a b; $(c)'")) == "a b; $(c)"
    assert fetch_secret(SecretReference(command=f"'{program}' *")) == "*"


def test_a_command_that_prints_much() -> None:
    # It would end by SIGPIPE, and seem to fail, if nobody read the rest.
    assert fetch_secret(shell("echo first; head -c 3000000 /dev/zero")) == "first"


def test_a_command_that_leaves_an_agent_behind(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! > '{tmp_path}/pid'; echo secret"
    started = time.monotonic()
    try:
        assert fetch_secret(shell(script)) == "secret"
        assert time.monotonic() - started < secrets.COMMAND_SECONDS
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo hunter2; echo hunter2 >&2; exit 3", "the command sh, which gives a secret, failed with exit code 3"),
        ("echo hunter2; kill -9 $$", "the command sh, which gives a secret, failed with signal 9"),
        ("echo; echo hunter2", "the output of the command sh is empty"),
        ("true", "the output of the command sh is empty"),
        ("printf 'hunter2\\377'", "the output of the command sh is not text in UTF-8"),
        (
            "head -c 100000 /dev/zero | tr '\\0' x",
            "the output of the command sh has a first line of more than 65536 bytes",
        ),
    ],
)
def test_a_command_without_a_usable_secret(script: str, expected: str) -> None:
    assert refused(shell(script)).message == expected


@pytest.mark.parametrize("script", ["echo hunter2; sleep 300", "exec >&-; sleep 300", "yes hunter2"])
def test_a_command_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    os.mkfifo(tmp_path / "alive")
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)

    first = iter([0.0])

    def moment() -> float:
        """The time is up once the command has begun, however long the machine needs for that."""
        has_begun = bool(select.select([reader], [], [], 0)[0])
        return next(first, secrets.COMMAND_SECONDS if has_begun else 0.0)

    monkeypatch.setattr(secrets, "time", SimpleNamespace(monotonic=moment))
    error = refused(shell(f"exec 9> '{tmp_path}/alive'; echo started >&9; {script}"))
    assert error.message == "the command sh, which gives a secret, took longer than 30 s and was ended"
    assert os.read(reader, 100) == b"started\n"
    assert select.select([reader], [], [], PATIENCE_SECONDS)[0], "a process of the command still holds the pipe"
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_a_command_that_asks_gets_no_answer() -> None:
    assert refused(shell("read answer && echo $answer")).message.endswith("failed with exit code 1")


def test_a_command_that_cannot_run(tmp_path: Path) -> None:
    assert "is not there" in refused(SecretReference(command="no-such-program hunter2")).message
    assert "is not there" in refused(SecretReference(command=(str(tmp_path), "hunter2"))).message
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o700)
    assert "cannot run: Exec format error" in refused(SecretReference(command=(str(broken), "hunter2"))).message


class Chain(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self, locked: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library's own
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = locked

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("hunter2 is locked")
        return self.entries.get((service, username))


@pytest.fixture
def chain() -> Iterator[Chain]:
    former, chain = keyring.get_keyring(), Chain()
    keyring.set_keyring(chain)
    yield chain
    keyring.set_keyring(former)


def test_the_keyring(chain: Chain) -> None:
    keyring.set_password("dgtui/shop", "backup", WORD)
    assert fetch_secret(SecretReference(keyring="dgtui/shop/backup")) == WORD
    error = refused(SecretReference(keyring="dgtui/other"))
    assert (error.message, error.hint) == ("the keyring has no entry dgtui/other", "keyring set dgtui other")
    chain.locked = True
    assert refused(SecretReference(keyring="dgtui/other")).message.endswith("cannot be read (KeyringLocked)")


def test_no_keyring_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    error = refused(SecretReference(keyring="dgtui/shop"))
    assert error.message == "the library for the keyring entry dgtui/shop is not installed"
    assert error.hint == "pip install 'dgtui[keyring]'"


def test_a_reference_that_says_nothing_usable() -> None:
    assert refused(SecretReference(command="a 'b")).message == "command: a quotation mark is not closed"
    assert refused(SecretReference(env="A=B")).message == "env: expected the name of an environment variable"
