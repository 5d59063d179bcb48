"""The fake dump program itself; `fakebin.py` writes copies of it with their orders filled in."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, NoReturn

ORDERS = "{}"
BLOCK = 65536
FLOOD_BYTES = 4 << 20


def say(text: str) -> None:
    """Write a line to stderr."""
    os.write(2, text.encode() + b"\n")


def become(program: str) -> NoReturn:
    """Be the real tool from here on."""
    os.execv(program, [program, *sys.argv[1:]])


def write_all(block: bytes) -> None:
    """Write to stdout."""
    view = memoryview(block)
    while view:
        view = view[os.write(1, view) :]


def real_dump(program: str) -> tuple[BinaryIO, int]:
    """All that the real tool gives, in a file without a name, and its exit code."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    code = subprocess.run([program, *sys.argv[1:]], stdout=file, close_fds=False, check=False).returncode
    file.seek(0)
    return file, code


def length(amount: str, total: int) -> int:
    """How many bytes `N`, `60%` or `-1` are."""
    if amount.endswith("%"):
        return total * int(amount[:-1]) // 100
    return max(0, total + int(amount)) if amount.startswith("-") else min(total, int(amount))


def send(file: BinaryIO, amount: str) -> int:
    """Write the first bytes of the real dump; how many."""
    left = wanted = length(amount, os.fstat(file.fileno()).st_size)
    while left and (block := file.read(min(BLOCK, left))):
        write_all(block)
        left -= len(block)
    return wanted - left


def note(sent: int) -> None:
    """Tell a test that no more comes than these bytes."""
    path = Path(sys.argv[0]).with_name("sent")
    path.with_suffix(".new").write_text(str(sent))
    path.with_suffix(".new").rename(path)


def passwords() -> list[str]:
    """What it was given to log in with: environment, password files and option files."""
    found = [os.environ[name] for name in ("PGPASSWORD", "MYSQL_PWD") if name in os.environ]
    if path := os.environ.get("PGPASSFILE"):
        found += [line.rsplit(":", 1)[-1].strip() for line in Path(path).read_text().splitlines()]
    for argument in sys.argv[1:]:
        if argument.startswith(("--defaults-extra-file=", "--defaults-file=")):
            text = Path(argument.partition("=")[2]).read_text()
            found += re.findall(r"^\s*password\s*=\s*[\"']?(.*?)[\"']?\s*$", text, re.MULTILINE)
    found += [argument.partition("=")[2] for argument in sys.argv[1:] if argument.startswith("--password=")]
    return found


def hang(file: BinaryIO, amount: str) -> NoReturn:
    """Stop in the middle for ever, and leave a child that holds the pipe; neither minds SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    note(send(file, amount or str(BLOCK)))
    os.fork()
    while True:
        time.sleep(3600)


def leak(program: str, code: int) -> NoReturn:
    """Tell everybody the password, in the ways in which tools have done it."""
    for password in passwords():
        say(f"dump: connecting with password={password}")
        say(f"dump: error: connection to postgres://user:{password}@host/db failed: \x1b[31m[bold]{password}[/bold]")
    if code:
        sys.exit(code)
    become(program)


def slow(file: BinaryIO, rate: int) -> None:
    """Write at so many bytes a second."""
    step = max(1, min(BLOCK, rate // 20))
    start, sent = time.monotonic(), 0
    while block := file.read(step):
        write_all(block)
        sent += len(block)
        time.sleep(max(0.0, start + sent / rate - time.monotonic()))


def main() -> int:
    """Do what the orders say; the exit code."""
    orders = json.loads(ORDERS)
    mode, _, amount = orders["mode"].partition(":")
    real = orders["real"]
    if mode == "version" and "--version" in sys.argv[1:]:
        print(amount)
        return 0
    if mode == "version" or {"--version", "--help", "--print-defaults"} & set(sys.argv[1:]):
        become(real)
    if mode in ("leak", "leak1"):
        leak(real, 1 if mode == "leak1" else 0)
    if mode == "empty":
        return 0
    file, code = real_dump(real)
    if mode == "hang":
        hang(file, amount)
    if mode == "slow":
        slow(file, int(amount))
        return code
    if mode == "stand":
        note(send(file, amount))
        signal.pause()
    if mode == "flood":
        for number in range(FLOOD_BYTES // 64):
            say(f"dump: flood line {number:08d} ".ljust(63, "x"))
    if mode == "err0":
        say(f"{Path(sys.argv[0]).name}: error: something went wrong, and nobody minds")
    send(file, amount if mode in ("cut0", "cut1", "kill") else "100%")
    if mode == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "cut1":
        say(f"{Path(sys.argv[0]).name}: error: could not read block: Input/output error")
        return 1
    return 0 if mode == "cut0" else code


if __name__ == "__main__":
    sys.exit(main())
