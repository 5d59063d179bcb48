"""What is put right at the start of a program: runs that died, removals that were cut off, changes made by hand."""

from collections.abc import Callable

from dgtui.config import Config
from dgtui.config.leftovers import remove_cut_saves
from dgtui.engine.audit import HeadNotWritten
from dgtui.engine.catalog import Catalog
from dgtui.engine.cleanup import Cleanup
from dgtui.engine.config_changes import ConfigChanges
from dgtui.engine.errors import CatalogDamaged, DataGuardianError
from dgtui.engine.putting_back import put_back_cut_imports
from dgtui.engine.reconcile import reconcile
from dgtui.engine.runs import RunPaths


def put_right(
    catalog: Catalog, config: Config, paths: RunPaths, warn: Callable[[str], None], *, put_back: bool = True
) -> tuple[str, ...]:
    """Note what people changed in the configuration, and settle what ended without notice; sentences for people.

    Without `put_back` a target that is only partly filled is left to whoever asks, who is about to put that right.
    """
    remove_cut_saves(config)
    try:
        ConfigChanges(catalog, config.path).notice()
    except HeadNotWritten as error:
        warn(f"The head of the audit log could not be written: {error.message}")
    except DataGuardianError as error:
        warn(f"Changes of the configuration were not compared: {error.message}")
    try:
        return settle_runs(catalog, config, paths, put_back=put_back)
    except CatalogDamaged:
        # It is moved aside now that this is known.
        return settle_runs(catalog, config, paths, put_back=put_back)


def settle_runs(catalog: Catalog, config: Config, paths: RunPaths, *, put_back: bool = True) -> tuple[str, ...]:
    """Record what became of runs and removals whose process died without notice; sentences for people."""
    Cleanup(catalog, config, paths).finish_interrupted()
    told = reconcile(catalog, config, paths)
    return (*told, *put_back_cut_imports(catalog, config, paths)) if put_back else told
