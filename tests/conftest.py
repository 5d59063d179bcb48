"""Fixtures for all tests: throw-away servers and sources, started when a test first asks for them."""

pytest_plugins = [
    "tests.support.postgres",
    "tests.support.mariadb",
    "tests.support.sqlite",
    "tests.support.trees",
    "tests.support.damage",
    "tests.support.homes",
    "tests.support.sshd",
    "tests.support.daemons",
    "tests.support.shops",
]
