"""What all benches of backups share: a configuration, the cases, and the command line."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Case, compile_program, measure, shell, table

SMALL_MEGABYTES = 400
"""The size of dump that the tables of data are written for; others are multiples of it."""


class Place:
    """A folder with a configuration that backs up one datasource in every way that is measured."""

    def __init__(self, folder: Path, datasource: Mapping[str, str | int], environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.by_hand = folder / "by-hand"
        """The file that a pipeline by hand writes."""
        jobs = {
            "zstd": ("zstd:3", ["one"]),
            "zstd-two": ("zstd:3", ["one", "two"]),
            "gzip": ("gzip:6", ["one"]),
        }
        lines = ["[datasources.bench]", *(f"{key} = {json.dumps(value)}" for key, value in datasource.items())]
        for name in ("one", "two"):
            lines += [f"[storages.{name}]", 'type = "local"', f"path = {json.dumps(str(folder / name))}"]
        for name, (compression, storages) in jobs.items():
            lines += [f"[jobs.{name}]", 'datasource = "bench"', f'compression = "{compression}"']
            lines += [f"storages = {json.dumps(storages)}"]
        configuration = folder / "config.toml"
        configuration.write_text("\n".join(lines) + "\n")
        configuration.chmod(0o600)
        self.environment = {
            **environment,
            "DGTUI_CONFIG": str(configuration),
            "DGTUI_STATE": str(folder / "state"),
        }

    def clean(self) -> None:
        """Remove what earlier rounds wrote, so that the disk does not fill up."""
        for name in ("one", "two"):
            for path in (self.folder / name).glob("*/*"):
                shutil.rmtree(path)

    def archive(self) -> Path:
        """Make a backup, and tell where its file lies."""
        self.clean()
        measure([Case("backup", dgtui("--run-job", "zstd"))], 0, environment=self.environment)
        return next((self.folder / "one").glob("*/*/backup.*"))

    def hashed(self, source: str) -> str:
        """The pipeline that an administrator writes by hand: packed, hashed on the way, and safe on the disk."""
        file = self.by_hand
        return f"{source} | zstd -q -T2 -3 | tee >(sha256sum > {file}.sum) > {file}; sync {file}"

    def backups(self, shown: str, source: str, *, gzip: bool = False) -> list[Case]:
        """dgtui against the pipeline of `source`, the first case; `shown` is how the table names it."""
        cases = [
            shell(f"{shown} \\| zstd -T2 -3 \\| tee >(sha256sum)", self.hashed(source)),
            Case("dgtui zstd:3, one folder", dgtui("--run-job", "zstd"), self.clean),
            Case("dgtui zstd:3, two folders", dgtui("--run-job", "zstd-two"), self.clean),
        ]
        if gzip:
            cases.append(shell(f"{shown} \\| gzip", f"{source} | gzip > {self.by_hand}"))
            cases.append(Case("dgtui gzip:6", dgtui("--run-job", "gzip"), self.clean))
        return cases


def dgtui(*arguments: str) -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "dgtui", *arguments]


def show(place: Place, cases: list[Case], rounds: int, servers: list[int]) -> None:
    """Measure, and print the table in Markdown; the first case is what the others are compared with."""
    samples = measure(cases, rounds, servers=servers, environment=place.environment)
    print(f"\n{table(samples, cases[0].name)}\n", flush=True)


@contextmanager
def bench_folder() -> Iterator[Path]:
    """A folder for the run of a bench."""
    folder = Path(tempfile.mkdtemp(prefix="dgtui-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def run_bench(description: str, bench: Callable[[argparse.Namespace, Path], None]) -> None:
    """Read the command line, and run a bench in a folder of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--megabytes", type=int, default=SMALL_MEGABYTES, help="size of the dump")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["backup", "restore"])
    compile_program()
    with bench_folder() as folder:
        bench(parser.parse_args(), folder)
