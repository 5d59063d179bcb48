"""Certificates as an administrator makes them, with openssl and its defaults."""

import shutil
import subprocess
from pathlib import Path

import pytest


def need_openssl() -> None:
    """Skip where there is none."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")


def make_certificate(folder: Path, name: str, *, authority: Path | None = None) -> Path:
    """A key and a certificate for this machine, signed by the authority or by itself; the certificate's path.

    An authority does not say what its key is for, as those do not that MySQL makes for itself.
    """
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    if authority is not None:
        command += ["-CA", str(authority), "-CAkey", str(authority.with_suffix(".key"))]
        command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate
