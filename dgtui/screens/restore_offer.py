"""What the restore dialog offers to choose from, and why something of it cannot be chosen."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dgtui.config import Config
from dgtui.engine.datasources.kinds import Kind, kind_named
from dgtui.engine.model import Copy, Execution, Record
from dgtui.screens.marks import copy_mark
from dgtui.screens.widgets.choice import Option
from dgtui.wording.panel import Span
from dgtui.wording.terminal import Look

if TYPE_CHECKING:
    from dgtui.engine.preview import RestorePreview

AUTOMATIC = ""
_WHAT = {"full": "everything", "schema_only": "schema only", "data_only": "data only"}
_SOME = "tables"
_PART = {"full": "structure and rows", "schema_only": "structure only", "data_only": "rows only"}


class RestoreOffer(Record, frozen=True):
    """The choices for the restore of one backup; what is known of the target decides what is possible."""

    execution: Execution
    config: Config
    look: Look

    @property
    def kind(self) -> Kind:
        """The kind of datasource that was backed up."""
        return kind_named(self.execution.datasource_type)

    @property
    def others(self) -> list[str]:
        """The other datasources that it could go into."""
        execution = self.execution
        return [name for name in self.config.datasources_of(execution.datasource_type) if name != execution.datasource]

    @property
    def proposed_name(self) -> str:
        """A name beside the datasource's own, for a look at the backup."""
        settings = self.config.datasources.get(self.execution.datasource)
        if settings is None or settings.on_server:
            return f"{settings.source if settings is not None else ''}_restored"
        path = Path(settings.source)
        return str(path.with_name(f"{path.stem}-restored{path.suffix}"))

    def can(self, datasource: str, ability: str) -> bool:
        """Whether the kind of a datasource knows of an option."""
        return datasource in self.config.datasources and ability in self.config.datasource_options(datasource)

    def storages(self, copies: Mapping[str, Copy]) -> list[Option]:
        """`automatic`, and each storage that holds a copy, with its state."""
        options = [Option(AUTOMATIC, "automatic")]
        for copy in in_order(self.config, copies.values()):
            name = copy.storage
            possible = copy.status in ("available", "unknown")
            mark = (Span(" "), copy_mark(copy.status, self.look))
            options.append(Option(name, name, mark, "" if possible else copy.status))
        return options

    def targets(self) -> list[Option]:
        """In its place, beside it, or somewhere else."""
        name, kind = self.execution.datasource, self.kind
        why_not = "" if name in self.config.datasources else "is not configured any more"
        other = "" if self.others else f"there is no other {kind.label} datasource"
        in_place = f"{'swapped in' if kind.swaps_everything else 'replaced'} when complete"
        return [
            Option("same", f"{name}, {in_place}", why_not=why_not),
            Option("new", kind.new_target, why_not=why_not),
            Option("other", "other datasource", why_not=other),
        ]

    def what(self, datasource: str, preview: "RestorePreview | None") -> list[Option]:
        """Everything, or which part of it."""
        return [
            Option(key, self._label(key), why_not=self._why_not(key, datasource, preview))
            for key in (*_WHAT, _SOME)
            if self._known(key, datasource)
        ]

    def _label(self, key: str) -> str:
        return f"{self.kind.object_noun}{self.look.glyph('…', '...')}" if key == _SOME else _WHAT[key]

    def _known(self, key: str, datasource: str) -> bool:
        """What no backup of this kind has is not offered at all."""
        if datasource not in self.config.datasources or key == "full":
            return True
        if key == "data_only":
            return self.config.loads_data(datasource)
        return self.can(datasource, key) or (key == _SOME and self.kind.objects_are_paths)

    def _why_not(self, key: str, datasource: str, preview: "RestorePreview | None") -> str:
        backup_type = self.execution.backup_type
        filled = preview is not None and preview.object_count > 0
        if datasource not in self.config.datasources:
            return "" if key == "full" else "its datasource is not configured"
        if key in ("schema_only", "data_only") and backup_type not in ("full", key):
            return "not in this backup"
        if filled and (key == "schema_only" or (key == _SOME and backup_type == "schema_only")):
            return "only into a new or empty one"
        if key == "data_only" and preview is not None and not filled:
            return "there are no tables to fill"
        return ""

    def parts(self, datasource: str, preview: "RestorePreview | None") -> list[Option]:
        """What of the chosen tables."""
        what = {option.key: option for option in self.what(datasource, preview)}
        return [Option(key, label, why_not=what[key].why_not) for key, label in _PART.items() if key in what]

    def safety_places(self, copies: Mapping[str, Copy]) -> list[Option]:
        """Where the backup of what is replaced can go; a storage that was just found out of reach is none."""
        job = self.config.jobs.get(self.execution.job)
        usual = ", ".join(job.storages) if job is not None else ""
        return [
            Option(AUTOMATIC, f"as the job does ({usual})" if usual else "where the backup is"),
            *(Option(name, name, why_not=_out_of_reach(copies.get(name))) for name in self.config.storages),
        ]


def in_order(config: Config, copies: Iterable[Copy]) -> list[Copy]:
    """The copies as every table shows them, and as they are tried: in the order of the configuration."""
    return sorted(copies, key=lambda copy: config.place_of_storage(copy.storage))


def _out_of_reach(copy: Copy | None) -> str:
    return copy.status if copy is not None and copy.status == "unreachable" else ""
