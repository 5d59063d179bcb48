"""What the kinds of datasource are and have, for people and forms; also of kinds that are not known here."""

from dgtui.engine.datasources import DATASOURCE_TYPES, datasource_adapter
from dgtui.engine.model import Record


class Kind(Record, frozen=True):
    """A kind of datasource, as its adapter describes itself."""

    label: str
    """Name for people."""
    object_noun: str = "tables"
    """What its objects are."""
    new_target: str = "new database"
    """What a target is that is made for a restore."""
    objects_are_paths: bool = False
    """Whether its objects are the tops of a tree, below which anything can be chosen."""
    swaps_everything: bool = True
    """Whether whatever a target holds can be swapped for the new content."""


def kind_named(name: str) -> Kind:
    """The kind of this name; one that is not known here, as in a backup from elsewhere, goes by its own name."""
    if name not in DATASOURCE_TYPES:
        return Kind(label=name)
    adapter = datasource_adapter(name)
    return Kind(
        label=adapter.label,
        object_noun=adapter.object_noun,
        new_target=adapter.new_target,
        objects_are_paths=adapter.objects_are_paths,
        swaps_everything=adapter.swaps_everything,
    )
