"""The unit that has systemd run the daemon."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dgtui.engine.errors import ConfigError, PermissionDenied
from dgtui.engine.files import make_private_folder, write_durably
from dgtui.engine.model import Record

UNIT_NAME = "dgtui.service"
_UNIT_MODE = 0o644
_MARK = "# Written by dgtui daemon --install: change it with systemctl edit, which this file stays out of.\n"
_TEMPLATE = """\
{mark}[Unit]
Description=DataGuardian: backups by timetable, and watching over databases
Documentation=man:systemd.service(5)
{after}
[Service]
Type=notify
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
{environment}# Secrets that the configuration takes from the environment: NAME=value, a line each. It need not be there.
EnvironmentFile=-{secrets}
# A backup is a process of its own and goes on when the daemon is stopped or restarted.
KillMode=process
Restart=on-failure
RestartSec=10
# Another daemon guards this state folder already.
RestartPreventExitStatus=4
WatchdogSec=60
TimeoutStopSec=40
UMask=0077

[Install]
WantedBy={target}
"""


class Unit(Record, frozen=True):
    """A unit file, and what to do with it."""

    path: Path
    text: str
    commands: tuple[str, ...]
    """The commands that take it up, in order."""
    environment_file: Path
    """Where secrets of the environment belong."""
    effects: tuple[str, ...]
    """What it does, as sentences for people."""

    def unset(self, variables: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Those of the variables that the daemon will not have: nothing of a shell's environment reaches it."""
        try:
            lines = self.environment_file.read_text("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        known = {line.partition("=")[0].strip() for line in lines if "=" in line}
        return {name: keys for name, keys in variables.items() if name not in known}


def daemon_unit(*, user: bool, environment: Mapping[str, str] | None = None) -> Unit:
    """The unit for the whole machine, or for this user alone, with what names the configuration and the state now."""
    environment = os.environ if environment is None else environment
    named = {name: environment[name] for name in ("DGTUI_CONFIG", "DGTUI_STATE", "PATH") if environment.get(name)}
    for name in ("DGTUI_CONFIG", "DGTUI_STATE"):
        if name in named:
            named[name] = str(Path(named[name]).expanduser().absolute())
    secrets = _user_folder(environment) / "dgtui/environment" if user else Path("/etc/dgtui/environment")
    text = _TEMPLATE.format(
        mark=_MARK,
        after="" if user else "After=network-online.target\nWants=network-online.target\n",
        command=" ".join(_quoted(word, command=True) for word in (sys.executable, "-m", "dgtui", "daemon")),
        environment="".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in named.items()),
        secrets=str(secrets).replace("%", "%%"),
        target="default.target" if user else "multi-user.target",
    )
    systemctl = "systemctl --user" if user else "systemctl"
    commands = [f"{systemctl} daemon-reload", f"{systemctl} enable --now {UNIT_NAME}"]
    if user:
        # Without it the daemon would end with the last session of the user.
        commands.append("loginctl enable-linger")
    start = "your first login, or the machine once you linger" if user else "the machine"
    effects = (
        f"It starts with {start}, and anew when it dies: it runs the timetable, watches, cleans up, and notifies",
        "Backups are processes of their own and go on when it is stopped or restarted",
    )
    return Unit(
        path=_folder(environment, user=user) / UNIT_NAME,
        text=text,
        commands=tuple(commands),
        environment_file=secrets,
        effects=effects,
    )


def install_unit(unit: Unit) -> None:
    """Write the unit. Raises ConfigError where another one lies there, PermissionDenied, StorageError."""
    try:
        present = unit.path.read_text("utf-8", "replace") if unit.path.exists() else _MARK
        if not present.startswith(_MARK):
            raise ConfigError(
                f"{unit.path} was written by somebody else and is not changed",
                subject=str(unit.path),
                hint="See what this one would be with: dgtui daemon --install --print",
            )
        if not os.access(_existing(unit.path.parent), os.W_OK):
            raise PermissionError
    except PermissionError:
        raise PermissionDenied(
            f"{unit.path} cannot be written by this user",
            subject=str(unit.path),
            hint="Do it as root, or for this user alone: dgtui daemon --install --user",
        ) from None
    make_private_folder(unit.path.parent)
    write_durably(unit.path, unit.text.encode(), mode=_UNIT_MODE)


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())


def _folder(environment: Mapping[str, str], *, user: bool) -> Path:
    if not user:
        return Path("/etc/systemd/system")
    return _user_folder(environment) / "systemd/user"


def _user_folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _quoted(word: str, *, command: bool = False) -> str:
    """A word as systemd reads it: `%` begins a specifier, `$` in a command a variable."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text.replace("$", "$$") if command else text}"'
