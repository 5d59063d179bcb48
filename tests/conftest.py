"""Fixtures for all tests: throw-away servers and sources, started when a test first asks for them."""

import gc
import signal

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.support.postgres",
    "tests.support.mariadb",
    "tests.support.mysql",
    "tests.support.sqlite",
    "tests.support.trees",
    "tests.support.damage",
    "tests.support.homes",
    "tests.support.sshd",
    "tests.support.daemons",
    "tests.support.shops",
    "tests.support.post",
    "tests.support.warm",
]

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure() -> None:
    """Programs that the tests start get Ctrl-C as on a terminal, also where a shell started us in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: no search for garbage goes through it again, here or in the forks of a test."""
    gc.collect()
    gc.freeze()
