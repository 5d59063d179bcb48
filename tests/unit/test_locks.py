"""Locks: held by one, freed by the kernel however the holder ends, and handed to a worker without a gap."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dgtui.engine.errors import JobBusy, StorageError
from dgtui.engine.locks import Lock, lock_holder, take_lock
from tests.support.descriptors import open_below

_HOLD = (
    "import sys, pathlib\n"
    "from dgtui.engine.locks import take_lock\n"
    "lock = {call}\n"
    "print('held', flush=True)\n"
    "sys.stdin.read()\n"
)


def holder(call: str, *, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    """Another process that holds a lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD.format(call=call)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_in_another_users_folder_is_told_with_a_way_out(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0 if os.geteuid() else 0o700)
    us = os.geteuid()
    os.seteuid(us or 65534)
    try:
        with pytest.raises(StorageError, match="Permission denied") as caught:
            lock_holder(folder / "daemon.lock")
    finally:
        os.seteuid(us)
        folder.chmod(0o700)
    assert "Give the user who runs dgtui the right" in caught.value.hint


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.communicate(timeout=10)


def test_one_at_a_time_and_free_after_it(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "job.lock"
    with take_lock(path, purpose="backup of shop"):
        with pytest.raises(JobBusy, match=rf"backup of shop \(pid {os.getpid()}, since .* UTC\)"):
            take_lock(path, purpose="another", patience_seconds=0)
        found = lock_holder(path)
        assert found is not None
        assert (found.pid, found.purpose) == (os.getpid(), "backup of shop")
    assert lock_holder(path) is None
    take_lock(path, purpose="again").release()


def test_who_only_looks_makes_nobody_busy(tmp_path: Path) -> None:
    """However long they are stopped just then: with no patience for a holder they are waited for."""
    path = tmp_path / "job.lock"
    take_lock(path, purpose="before").release()
    looker = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(looker, fcntl.LOCK_SH)
    waits = threading.Event()
    taken: list[Lock] = []

    def take() -> None:
        taken.append(take_lock(path, purpose="mine", patience_seconds=0))

    def wait(_: float) -> None:
        waits.set()
        gone.wait()

    gone = threading.Event()
    taker = threading.Thread(target=take)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dgtui.engine.locks.time.sleep", wait)
        taker.start()
        assert waits.wait(10)
        os.close(looker)
        gone.set()
        taker.join(10)
    (lock,) = taken
    lock.release()


def test_who_looks_for_ever_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "job.lock"
    take_lock(path, purpose="before").release()
    looker = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(looker, fcntl.LOCK_SH)
    monkeypatch.setattr("dgtui.engine.locks.time.sleep", lambda _: None)
    with pytest.raises(JobBusy, match="a process that only looks at it has stopped"):
        take_lock(path, purpose="mine")
    os.close(looker)
    take_lock(path, purpose="mine").release()


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    other = holder(f"take_lock(pathlib.Path({str(path)!r}), purpose='backup')")
    with pytest.raises(JobBusy, match=f"pid {other.pid}"):
        take_lock(path, purpose="mine", patience_seconds=0)
    end(other, signal.SIGKILL)
    take_lock(path, purpose="mine").release()


def test_it_is_handed_to_a_child_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    lock = take_lock(path, purpose="start", inheritable=True)
    child = holder("None", pass_fds=(lock.fd,))
    lock.sign("work", pid=child.pid)
    lock.hand_over()
    found = lock_holder(path)
    assert found is not None
    assert (found.pid, found.purpose) == (child.pid, "work")
    end(child, signal.SIGKILL)
    assert lock_holder(path) is None


def test_children_do_not_inherit_it_unasked(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "a.lock", purpose="x")
    asked = take_lock(tmp_path / "b.lock", purpose="x", inheritable=True)
    assert not os.get_inheritable(lock.fd)
    assert os.get_inheritable(asked.fd)
    for each in (lock, asked):
        each.release()
        each.release()


def test_nobody_holds_a_lock_that_was_never_made(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "none.lock") is None


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_somebody_elses_link_or_pipe_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "job.lock"
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    if kind == "link":
        path.symlink_to(victim)
    else:
        os.mkfifo(path)
    with pytest.raises(StorageError):
        take_lock(path, purpose="x")
    with pytest.raises(StorageError):
        lock_holder(path)
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"pid 1 since yesterday for x\n", b"x" * 10_000])
def test_an_unreadable_note_is_no_obstacle(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "job.lock"
    with take_lock(path, purpose="x"):
        path.write_bytes(text)
        assert lock_holder(path) is not None
        with pytest.raises(JobBusy):
            take_lock(path, purpose="y", patience_seconds=0)


def test_a_newline_in_the_purpose_stays_one_line(tmp_path: Path) -> None:
    with take_lock(tmp_path / "job.lock", purpose="a\nb\udcff"):
        found = lock_holder(tmp_path / "job.lock")
        assert found is not None
        assert found.purpose == "a b\\udcff"


def test_what_is_let_go_is_free_also_where_a_child_has_it_still(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "job.lock"
    lock = take_lock(path, purpose="backup", inheritable=True)
    childs = os.dup(lock.fd)
    lock.release()
    lock.release()
    assert open_below(tmp_path) == [path], "the child's"
    assert lock_holder(path) is None
    take_lock(path, purpose="the next one", patience_seconds=0).release()
    os.close(childs)


def test_a_lock_whose_file_lies_elsewhere_is_not_in_place(tmp_path: Path) -> None:
    """Others look for it where it was, and find none, or another one."""
    folder = tmp_path / "locks"
    seen = []
    with take_lock(folder / "daemon.lock", purpose="daemon") as lock:
        seen.append(lock.is_in_place)
        folder.rename(tmp_path / "moved")
        seen.append(lock.is_in_place)
        folder.touch()
        seen.append(lock.is_in_place)
        folder.unlink()
        with take_lock(folder / "daemon.lock", purpose="another daemon") as other:
            seen += [lock.is_in_place, other.is_in_place]
    assert seen == [True, False, False, False, True]


def test_it_is_waited_for_until_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "job.lock"
    held = take_lock(path, purpose="a look at who holds it")
    monkeypatch.setattr("dgtui.engine.locks.time.sleep", lambda _: held.release())
    with take_lock(path, purpose="backup", patience_seconds=60) as lock:
        assert lock.is_in_place


def test_who_does_not_get_it_leaves_nothing_open(tmp_path: Path) -> None:
    """A daemon asks for it again and again."""
    os.mkfifo(tmp_path / "fifo")
    with take_lock(tmp_path / "job.lock", purpose="backup"):
        before = open_below(tmp_path)
        with pytest.raises(JobBusy):
            take_lock(tmp_path / "job.lock", purpose="another", patience_seconds=0)
        with pytest.raises(StorageError):
            lock_holder(tmp_path / "fifo")
        assert lock_holder(tmp_path / "job.lock") is not None
        assert open_below(tmp_path) == before == [tmp_path / "job.lock"]
