"""The choices of the restore dialog, and what is chosen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.manifest import Manifest
from dgtui.engine.model import Copy, Execution
from dgtui.screens.dialog import Box
from dgtui.screens.restore_choice import RestoreChoice, RestoreQuestion, SafetyChoice
from dgtui.screens.restore_offer import RestoreOffer
from dgtui.screens.widgets.choice import Choice, Option, Tick
from dgtui.screens.widgets.facts import Facts
from dgtui.screens.widgets.rows import Column
from dgtui.screens.widgets.safety import SafetyRows
from dgtui.screens.widgets.ticks import Tickable, Ticks
from dgtui.wording.words import known_size

if TYPE_CHECKING:
    from dgtui.engine.preview import RestorePreview

_MOST_TICK_ROWS = 8
IN_PLACE = "Empty and fill it in place; a cut lasts until the next start"
"""What is done with what cannot be swapped, where somebody wants that."""


class RestoreForm(Box):
    """From, into, what, why; and the preview below it. What cannot be chosen says why."""

    DEFAULT_CSS = """
    RestoreForm { height: auto; }
    RestoreForm .row { height: auto; }
    RestoreForm Label { width: 9; }
    RestoreForm #tables { height: 3; margin-left: 9; }
    RestoreForm #reason { width: 1fr; }
    RestoreForm #jobs-row { width: auto; }
    RestoreForm #jobs-label { width: auto; padding: 0 1; }
    RestoreForm #jobs { width: 8; }
    RestoreForm #preview { margin-top: 1; }
    """

    def __init__(self, execution: Execution, copies: Mapping[str, Copy], offer: RestoreOffer) -> None:
        super().__init__(id="body", can_focus=False)
        self._execution = execution
        self._copies = dict(copies)
        self.offer = offer
        self._preview: RestorePreview | None = None

    def compose(self) -> ComposeResult:
        """A row for each choice."""
        look, offer, datasource = self.offer.look, self.offer, self._execution.datasource
        yield _row("From", Choice(offer.storages(self._copies), look, id="storage"))
        yield _row("Into", Choice(offer.targets(), look, id="target"))
        yield _row("Name", Input(id="name", compact=True, value=offer.proposed_name), id="name-row")
        others = [Option(name, name) for name in offer.others]
        yield _row("", Choice(others, look, id="datasource"), id="datasource-row")
        yield _row("What", Choice(offer.what(datasource, None), look, id="what"))
        columns = [Column("Name", flexible=True), Column("Rows", right=True), Column("Size", right=True)]
        yield Ticks(columns, id="tables", empty="Reading the manifest")
        paths = Input(
            id="paths", compact=True, placeholder="further paths in the tree, one after the other with blanks"
        )
        yield _row("Paths", paths, id="paths-row")
        yield _row("Of them", Choice(offer.parts(datasource, None), look, id="part"), id="part-row")
        another = Input(id="as", compact=True, placeholder="in the live one's place; or a name, to lie beside it")
        yield _row("Under", another, id="as-row")
        merge = Tick("Merge: put files over those that are there, keep all others", value=False, id="merge")
        yield _row("How", merge, id="merge-row")
        in_place = Tick(IN_PLACE, value=False, id="in-place")
        yield _row("No swap", in_place, id="in-place-row")
        yield SafetyRows(offer.safety_places(self._copies), look)
        yield _row("After", Tick("Compare every object's content by a checksum", value=False, id="deep"))
        yield _row("Roles", Tick("Go on without the roles that are missing", value=False, id="roles"), id="role-row")
        with Horizontal(classes="row"):
            yield Label("Reason")
            yield Input(id="reason", compact=True, placeholder="why, for the record")
            with Horizontal(classes="row", id="jobs-row"):
                yield Label("Processes", id="jobs-label")
                yield Input(id="jobs", compact=True, placeholder="auto", restrict="[0-9]{0,2}")
        yield Facts(id="preview")

    # What is found out

    def take_copies(self, copies: Mapping[str, Copy]) -> None:
        """The states of the copies as they are now."""
        for copy in copies.values():
            self._copies[copy.storage] = copy
        self.query_one("#storage", Choice).set_options(self.offer.storages(self._copies))
        self.query_one(SafetyRows).offer(self.offer.safety_places(self._copies))

    def take_manifest(self, manifest: Manifest) -> None:
        """What the backup holds, to tick."""
        rows = [
            Tickable(
                one.name,
                (f"{one.rows:,}" if one.rows is not None else "-", known_size(one.bytes)),
                (one.rows, one.bytes),
            )
            for one in manifest.objects
        ]
        ticks = self.query_one(Ticks)
        ticks.styles.height = min(max(len(rows), 2) + 1, _MOST_TICK_ROWS)
        ticks.offer(rows)

    def take_preview(self, preview: "RestorePreview | None") -> None:
        """What is possible depends on the target; None where it is not known."""
        self._preview = preview
        self.query_one("#what", Choice).set_options(self.offer.what(self.datasource, preview))
        self.query_one("#part", Choice).set_options(self.offer.parts(self.datasource, preview))

    def show(self) -> None:
        """Only what matters for what is chosen."""
        target, tables, preview = self.key("target"), self.key("what") == "tables", self._preview
        missing = preview is not None and preview.outlook is not None and preview.outlook.missing_roles.costs_something
        shown = {
            "#name-row": target == "new",
            "#datasource-row": target == "other",
            "#tables": tables,
            "#paths-row": tables and self._is_tree,
            "#part-row": tables and len(self.query_one("#part", Choice).options) > 1,
            "#as-row": self._may_be_renamed,
            "#merge-row": self._is_tree and self.filled,
            "#in-place-row": preview is not None and preview.chosen.fillable,
            "#safety-rows": self.filled and self._name_as is None,
            "#role-row": missing,
            "#jobs-row": self.offer.can(self.datasource, "parallel_restore"),
        }
        for selector, visible in shown.items():
            self.query_one(selector).display = visible
        self.query_one("#deep", Tick).allow(self._not_deep())

    def _not_deep(self) -> str:
        kinds = (self.selection.backup_type, self._execution.backup_type)
        if "schema_only" in kinds:
            return "a schema has no content"
        return "rows that are loaded alone are counted" if "data_only" in kinds else ""

    # What is chosen

    def key(self, name: str) -> str:
        """The chosen option of a choice."""
        return self.query_one(f"#{name}", Choice).key

    def value(self, name: str) -> str:
        """The text of a field."""
        return self.query_one(f"#{name}", Input).value.strip()

    def ticked(self, name: str) -> bool:
        """Whether something is ticked."""
        return self.query_one(f"#{name}", Tick).value

    @property
    def datasource(self) -> str:
        """The datasource that is restored into."""
        return self.key("datasource") if self.key("target") == "other" else self._execution.datasource

    @property
    def _is_tree(self) -> bool:
        return self.offer.kind.objects_are_paths

    @property
    def filled(self) -> bool:
        """Whether the target is known to hold something."""
        return self._preview is not None and self._preview.object_count > 0

    @property
    def selection(self) -> Selection:
        """What of the backup."""
        if self.key("what") != "tables":
            return Selection(backup_type=self.key("what") or "full")  # type: ignore[arg-type]  # the three words it takes
        paths = tuple(self.value("paths").split()) if self._is_tree else ()
        tables = (*self.query_one(Ticks).ticked, *paths)
        return Selection(backup_type=self.key("part") or "full", tables=tables)  # type: ignore[arg-type]  # the same

    @property
    def _may_be_renamed(self) -> bool:
        """Whether what is chosen can be put beside what is there, under another name."""
        selection = self.selection
        whole = selection.backup_type == self._execution.backup_type == "full"
        return whole and self.filled and len(selection.tables) == 1 and self.offer.can(self.datasource, "name_as")

    @property
    def _name_as(self) -> str | None:
        """The name that it gets; None where it takes the place of the live one."""
        return (self.value("as") or None) if self._may_be_renamed else None

    @property
    def question(self) -> RestoreQuestion:
        """What the preview is asked about."""
        return RestoreQuestion(
            storage=self.key("storage") or None,
            datasource=self.datasource,
            database=self.value("name") if self.key("target") == "new" else None,
            selection=self.selection,
            name_as=self._name_as,
            merge=self._is_tree and self.filled and self.ticked("merge"),
            safety=self.safety.wanted,
            in_place=self.ticked("in-place"),
        )

    @property
    def safety(self) -> SafetyChoice:
        """Whether and where the current state is saved first."""
        return self.query_one(SafetyRows).choice if self.filled else SafetyChoice()

    def choice(self, *, overwrite: bool) -> RestoreChoice:
        """All that is chosen; `overwrite` where something is lost and that was confirmed."""
        jobs = self.value("jobs")
        return RestoreChoice(
            question=self.question,
            overwrite=overwrite,
            deep=self.ticked("deep"),
            without_missing_roles=self.ticked("roles"),
            jobs=int(jobs) or None if jobs else None,
            reason=self.value("reason"),
            safety=self.safety,
        )

    @property
    def incomplete(self) -> str:
        """What has to be given before the target can be asked."""
        if not self.key("target"):
            return "There is nothing that it could be restored into"
        if self.key("target") == "new" and not self.value("name"):
            return "It needs a name"
        if self.key("what") == "tables" and not self.selection.tables:
            return "Tick at least one; space ticks, a ticks all"
        return ""


def _row(label: str, widget: Choice | Input | Tick, *, id: str | None = None) -> Horizontal:  # noqa: A002  # as in Textual
    return Horizontal(Label(label), widget, classes="row", id=id)
