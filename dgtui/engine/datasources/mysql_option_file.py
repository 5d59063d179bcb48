"""The private option file by which the programs of MySQL and MariaDB learn where the server is, and the password."""

import os
import tempfile

from dgtui.engine.datasources.datasource_settings import ServerSettings
from dgtui.engine.datasources.mysql_connection import Access, Flavour

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def open_option_file(access: Access, flavour: Flavour) -> int:
    """File descriptor of a private option file for a program of that flavour; close it once the program runs.

    It lies in memory where the system can do that, so that the password is neither on a command line, nor in
    the environment, nor on a disk.
    """
    lines = ["[client]", f"user={_option(access.user)}"]
    if access.password is not None:
        lines.append(f"password={_option(access.password)}")
    if access.settings.socket:
        lines += [f"socket={_option(access.settings.socket)}", "protocol=socket"]
    else:
        lines += [f"host={_option(access.settings.host)}", f"port={access.port}", "protocol=tcp"]
    lines += _tls_options(access.settings, flavour)
    lines += ["[mysql]", f"connect-timeout={max(1, int(access.settings.connect_timeout))}"]
    descriptor = _private_file()
    try:
        os.write(descriptor, ("\n".join(lines) + "\n").encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _tls_options(settings: ServerSettings, flavour: Flavour) -> list[str]:
    mode = settings.tls
    authority = [f"ssl-ca={_option(settings.tls_ca)}"] if settings.tls_ca else []
    if flavour == "mysql":
        names = {
            "disable": "DISABLED",
            "prefer": "PREFERRED",
            "require": "REQUIRED",
            "verify-ca": "VERIFY_CA",
            "verify-full": "VERIFY_IDENTITY",
        }
        return [f"ssl-mode={names[mode]}", *authority]
    if mode == "disable":
        return ["loose-skip-ssl"]
    if mode == "prefer":
        return ["loose-skip-ssl-verify-server-cert"]
    if mode == "require":
        return ["ssl", "loose-skip-ssl-verify-server-cert"]
    return ["ssl", "ssl-verify-server-cert", *authority]


def _private_file() -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("options", os.MFD_CLOEXEC)
        os.fchmod(descriptor, 0o600)  # the programs ignore an option file that others may write to
        return descriptor
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _option(value: str) -> str:
    """A value of an option file: quoted, so that `#`, spaces and quotes are taken as they are."""
    return f'"{value.translate(_ESCAPES)}"'
