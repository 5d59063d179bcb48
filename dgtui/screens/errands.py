"""What the places ask the application for: forms, dialogs and runs, and that the others hear of what changed."""

from typing import TYPE_CHECKING, Any

from dgtui.config import Table
from dgtui.engine.model import Execution
from dgtui.screens.engine_app import EngineApp
from dgtui.screens.tab import TabScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from dgtui.engine.facade import Engine
    from dgtui.engine.watching import WatchedRun
    from dgtui.screens.back_up import BackupChoice
    from dgtui.screens.restore_choice import RestoreChoice
    from dgtui.screens.welcome import WelcomeChoice


class ErrandApp(EngineApp):
    """Does what a place cannot do alone."""

    # The first start

    def welcome(self) -> None:
        """Where nothing is configured, lead to the first backup."""
        from dgtui.screens.welcome import WelcomeScreen

        def chosen(choice: "WelcomeChoice | None") -> None:
            if choice == "new":
                self.edit("datasources", None)
            elif choice == "demo":
                self.make_demo()

        self.push_screen(WelcomeScreen(), chosen)

    def _lead_on(self, table: Table, said: str) -> None:
        """After a datasource a storage, after the first of both a backup."""
        if table == "datasources" and not self.config.storages:
            self.config_changed()
            self.edit("storages", None, f"{said}. Now a storage: the folder that holds the backups")
            return
        self.config_changed(said)
        if table == "storages" and len(self.config.datasources) == 1 and not self.config.jobs:
            self.back_up(next(iter(self.config.datasources)))

    def make_demo(self) -> None:
        """Make the demo's folder with the command of that name, and show what is in it."""
        from dgtui.screens.demo import demo_engine

        self.tell("Making a shop, backing it up, breaking it and restoring it")
        self.asking.ask(self, "demo", demo_engine, self._take_demo, slow=True)

    def _take_demo(self, engine: "Engine") -> None:
        self.close_engine()
        self.take_engine(engine)
        self.tell(f"This is the demo, in {engine.paths.state.parent}; b backs it up, r restores it")

    # What screens ask for

    def edit(self, table: Table, name: str | None, introduction: str = "") -> None:
        """A form for an object of the configuration, for a new one without a name."""
        from dgtui.screens.forms.form import FormScreen

        def saved(saved_name: str | None) -> None:
            if saved_name is None:
                return
            said = f"The {table.removesuffix('s')} {saved_name} was saved"
            if name is None:
                self._lead_on(table, said)
                self._point_at_new(table, saved_name)
            else:
                self.config_changed(said)

        def show(values: dict[str, Any]) -> None:
            self.push_screen(FormScreen(table, name, values, self.engine.object_kinds(table), introduction), saved)

        if name is not None:
            self.ask(self, f"values {table} {name}", lambda engine: dict(engine.values(table, name)), show)
        elif self.is_ready:
            show({})

    def _point_at_new(self, table: Table, name: str) -> None:
        """What a key works on next is what was made just now, where its place is seen."""
        place = self.screen_stack[0]
        if isinstance(place, TabScreen) and table == place.TAB:
            place.point_at(name)

    def data_changed(self) -> None:
        """Every place asks again when it is seen next, the one that is seen at once."""
        is_other = self.has_other_config
        self.take_config()
        for stack in self._screen_stacks.values():
            for screen in stack:
                if isinstance(screen, TabScreen):
                    screen.mark_stale()
        place = next((screen for screen in self.screen_stack if isinstance(screen, TabScreen)), None)
        if place is not None:
            if is_other:
                # What is configured no more has no row that a key could work on while the engine is asked.
                place.show_states()
                # A key may work again, or not any more.
                place.refresh_bindings()
            place.refresh_if_stale()

    def pulse_changed(self) -> None:
        """Let the place that is seen show it; the others do when they are seen."""
        place = self.screen_stack[0]
        if isinstance(place, TabScreen):
            place.show_pulse()

    def catalogue_lost(self) -> None:
        """Read the storages into the new one, and say so: else all that was listed would be gone without a word."""

        def told(sentences: tuple[str, ...]) -> None:
            for sentence in sentences:
                self.tell(sentence, severity="warning")
            self.data_changed()

        self.ask(self, "lost catalogue", lambda engine: engine.reconcile(put_back=False), told, slow=True)

    def config_changed(self, text: str = "") -> None:
        """Take up another configuration."""
        if text:
            self.tell(text)
        self.data_changed()

    def open_place(self, place: str, name: str = "") -> None:
        """Show a place, with the cursor on the object of this name."""
        if place == "backups" and name:
            self.open_backups(name)
            return
        self.switch_mode(place)
        screen = self.screen
        if isinstance(screen, TabScreen) and name:
            # A place that is seen for the first time has no rows yet.
            screen.call_later(screen.point_at, name)

    def open_backups(self, datasource: str) -> None:
        """Show the backups of a datasource."""
        from dgtui.screens.backups import BackupsScreen

        self.switch_mode("backups")
        if isinstance(self.screen, BackupsScreen):
            self.screen.open(datasource)

    def back_up(self, datasource: str) -> None:
        """Ask how, and start it."""
        from dgtui.screens.back_up import BackUpScreen

        def chosen(choice: "BackupChoice | None") -> None:
            if choice is None:
                return
            job, settings = choice.job, choice.settings
            if job is not None:
                self.start(lambda engine: engine.start_job(job, description=choice.description), f"Backup {job}")
            elif settings is not None:
                self.start(
                    lambda engine: engine.start_backup(settings, description=choice.description), f"Backup {datasource}"
                )

        if self.is_ready:
            self.push_screen(BackUpScreen(datasource, self.config), chosen)

    def restore(self, execution: Execution) -> None:
        """Ask how, and start it."""
        from dgtui.screens.restore import RestoreScreen

        def chosen(choice: "RestoreChoice | None") -> None:
            if choice is not None:
                self.start(lambda engine: choice.start(engine, execution), f"Restore {execution.datasource}")

        if self.is_ready:
            self.push_screen(RestoreScreen(execution), chosen)

    def start(self, begin: "Callable[[Engine], str]", title: str) -> None:
        """Start a run in a thread and show its panel."""
        self.ask(self, f"start {title}", begin, lambda run_id: self.watch_run(run_id, title))

    def watch_run(self, run_id: str, title: str = "") -> None:
        """Show a run; the places show that it began."""
        from dgtui.screens.run import RunScreen

        self.push_screen(RunScreen(run_id, title))
        self.data_changed()

    def run_ended(self, run: "WatchedRun") -> None:
        """Say how it ended, unless its panel does, and ask again for what it changed."""
        from dgtui.screens.run import RunScreen

        snapshot, info = run.snapshot, run.info
        shown = isinstance(self.screen, RunScreen) and self.screen.run_id == info.run_id
        if not shown:
            title = f"{info.operation} {info.title}"
            if snapshot.problem is not None:
                self.show_problem(f"{title}: {snapshot.status}", snapshot.problem)
            else:
                self.tell(f"{title}: {snapshot.status}")
        if info.operation in ("backup", "restore"):
            self._hear_of_source(info.run_id, snapshot.problem.kind if snapshot.problem is not None else "")
        if snapshot.died:
            self._record_death(info.run_id, of_backup=info.operation == "backup")
        self.data_changed()

    def _record_death(self, run_id: str, *, of_backup: bool) -> None:
        """A worker that was killed has recorded nothing, and without a daemon nobody else would do it for it."""

        def recorded(sentences: tuple[str, ...]) -> None:
            # Of a restore it is known now which content is in place.
            for sentence in () if of_backup else sentences:
                self.tell(sentence, severity="warning")
            self.data_changed()
            self.ask(self, "deliver", lambda engine: engine.deliver(), lambda _: None, slow=True)

        # What would be put back may be what died: it would begin again and again.
        self.ask(self, f"death of {run_id}", lambda engine: engine.reconcile(put_back=False), recorded, slow=True)

    def _hear_of_source(self, run_id: str, kind: str) -> None:
        self.ask(
            self,
            f"source of {run_id}",
            lambda engine: engine.datasource_of(run_id),
            lambda datasource: self.guard.hear(datasource, kind),
        )
