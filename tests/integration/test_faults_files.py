"""File trees that change while they are read, through the engine (reliability row 36)."""

import os
import shlex
import shutil
from pathlib import Path

from tests.support.homes import Home
from tests.support.round_trips import restored, table

_LARGE = 4_000_000


def meddling_tar(folder: Path, tree: Path) -> Path:
    """A tar before which one file vanishes and another grows, and under which a third one shrinks; its folder."""
    real, gone, large = (shlex.quote(str(part)) for part in (shutil.which("tar"), tree / "gone", tree / "large"))
    grown = shlex.quote(str(tree / "grown"))
    folder.mkdir()
    program = folder / "tar"
    program.write_text(
        f'#!/bin/bash\ncase "$*" in *--index-file*) ;; *) exec {real} "$@" ;; esac\nset -o pipefail\n'
        f"rm -f {gone}; printf more >> {grown}\n"
        f'(exec -a "$0" {real} "$@") | {{ head -c 500000; truncate -s 3000000 {large}; cat; }}\n'
    )
    program.chmod(0o755)
    return folder


def test_files_that_vanish_grow_and_shrink_are_listed_and_the_rest_is_there(home: Home) -> None:
    tree = home.folder / "tree"
    tree.mkdir()
    for name in ("gone", "grown", "still"):
        tree.joinpath(name).write_text(name)
    tree.joinpath("large").write_bytes(os.urandom(_LARGE))
    # With `include` the names are chosen before tar reads any of them.
    home.configure(table("shop", type="files", path=str(tree)) + 'include = ["*"]\n')
    home.path_prefix = str(meddling_tar(home.folder / "bin", tree))
    outcome = home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 0, outcome
    assert "warning:" in outcome.errors
    [execution] = home.engine().executions()
    told = " ".join(execution.warnings)
    assert "./gone" in told
    assert "./large" in told
    assert "./still" not in told
    assert "warning" in home.dgtui("list").output
    assert home.dgtui("validate", execution.execution_id).exit_code == 0
    target = home.folder / "restored"
    restored(home, execution, database=str(target))
    assert sorted(path.name for path in target.iterdir()) == ["grown", "large", "still"]
    assert target.joinpath("grown").read_text() == "grownmore"
    assert target.joinpath("large").stat().st_size == _LARGE
