"""What is installed with the program is what it imports, and the other way round."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEVELOPMENT = "dev"


def declared() -> set[str]:
    """The packages that the project and its extras name, by the names that they are imported by."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    named = [*project["dependencies"], *(name for key, names in extras.items() if key != DEVELOPMENT for name in names)]
    return {match[0].replace("-", "_").lower() for name in named if (match := re.match(r"[\w.-]+", name))}


def imported() -> Iterator[str]:
    """The top-level modules that the program imports anywhere, but its own and Python's."""
    for path in (ROOT / "dgtui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            yield from (name.partition(".")[0] for name in names)


def test_every_package_that_is_imported_is_declared_and_every_declared_one_imported() -> None:
    ours = {"dgtui", "_typeshed"}
    assert set(imported()) - sys.stdlib_module_names - ours == declared()
