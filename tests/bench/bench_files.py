"""A tree of files against the shell: `python -m tests.bench.bench_files --help`.

Makes a tree of many small files and two large ones, and prints a table in Markdown.
"""

import argparse
import random
import shutil
from pathlib import Path

from tests.bench.measure import Case, shell
from tests.bench.place import SMALL_MEGABYTES, Place, dgtui, run_bench, show

_SMALL_FILES = 8000
_SMALL_BYTES = 20_000
_LARGE_BYTES = 120_000_000


def _make_tree(root: Path, megabytes: int) -> None:
    scale = megabytes / SMALL_MEGABYTES
    source = random.Random(1)
    words = [source.randbytes(4).hex() for _ in range(5000)]
    for number in range(round(_SMALL_FILES * scale)):
        folder = root / f"{number // 500:03}"
        folder.mkdir(parents=True, exist_ok=True)
        text = " ".join(source.choices(words, k=_SMALL_BYTES // 9))
        (folder / f"{number:06}.txt").write_text(text)
    for name in ("large-a", "large-b"):
        with (root / name).open("wb") as file:
            for _ in range(round(_LARGE_BYTES * scale / 1_000_000)):
                file.write(source.randbytes(500_000).hex().encode())


def _restores(place: Place) -> list[Case]:
    archive, copy = place.archive(), place.folder / "copy"

    def drop_copy() -> None:
        shutil.rmtree(copy, ignore_errors=True)

    by_hand = f"mkdir {copy} && zstd -qdc {archive} | tar x --xattrs --acls --numeric-owner -C {copy} && sync -f {copy}"
    restore = dgtui("restore", "zstd@latest", "--into", str(copy), "--yes")
    return [shell("zstd -dc \\| tar x", by_hand, drop_copy), Case("dgtui restore", restore, drop_copy)]


def bench(wanted: argparse.Namespace, folder: Path) -> None:
    """Backups against `tar c | zstd`, restores against `zstd -dc | tar x`."""
    tree = folder / "tree"
    _make_tree(tree, wanted.megabytes)
    place = Place(folder, {"type": "files", "path": str(tree)}, {})
    if wanted.only != "restore":
        source = f"tar c --xattrs --acls --sparse --numeric-owner -C {tree} ."
        show(place, place.backups("tar c", source, gzip=True), wanted.rounds, [])
    if wanted.only != "backup":
        show(place, _restores(place), wanted.rounds, [])


if __name__ == "__main__":
    run_bench(__doc__ or "", bench)
