"""Forms: made from the settings, checked as typed, written where no person writes."""

import stat
import tomllib
from pathlib import Path

import pytest
from textual.widgets import Button, Input, Label, Static

from dgtui.config import JobSettings, load_config
from dgtui.engine.datasources import DATASOURCE_TYPES, datasource_adapter
from dgtui.engine.storages import STORAGE_TYPES, storage_adapter
from dgtui.screens.back_up import BackUpScreen
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.forms.fields import SettingField
from dgtui.screens.forms.form import FormScreen
from dgtui.screens.forms.specs import field_specs
from dgtui.screens.welcome import WelcomeScreen
from dgtui.screens.widgets.choice import Choice
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.ticks import Ticks
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.tui.conftest import make_shop, orders
from tests.tui.driver import Driver, screens


def form(driver: Driver) -> FormScreen:
    """The form, which has to be seen."""
    assert isinstance(driver.screen, FormScreen)
    return driver.screen


async def choose(driver: Driver, selector: str, key: str) -> None:
    """Choose with the arrow keys."""
    choice = driver.widget(selector, Choice)
    choice.focus()
    for _ in choice.options:
        if driver.widget(selector, Choice).key == key:
            return
        await driver.press("right")
    assert driver.widget(selector, Choice).key == key


@pytest.mark.parametrize("kind", DATASOURCE_TYPES)
def test_every_setting_of_a_datasource_is_asked_for_with_help(kind: str) -> None:
    struct = datasource_adapter(kind).settings_type
    specs = {spec.key: spec for spec in field_specs("datasources", struct)}
    assert set(specs) == set(struct.__struct_fields__) - {"type"}
    assert all(spec.help for spec in specs.values())


def test_every_setting_of_storages_and_jobs_is_asked_for_with_help() -> None:
    for kind in STORAGE_TYPES:
        struct = storage_adapter(kind).settings_type
        specs = field_specs("storages", struct)
        assert {spec.key for spec in specs if "." not in spec.key} == set(struct.__struct_fields__) - {"type"}
        assert all(spec.help for spec in specs)
    specs = field_specs("jobs", JobSettings)
    assert {spec.key for spec in specs if "." not in spec.key} == set(JobSettings.__struct_fields__)
    assert {"retention.keep_last", "retention.max_age"} <= {spec.key for spec in specs}
    assert all(spec.help for spec in specs)
    assert [spec.key for spec in specs if spec.required] == [spec.key for spec in specs][:2]


async def test_a_first_start_leads_to_a_first_backup(home: Home) -> None:
    make_shop(home.folder / "shop.db")
    home.config_path.write_text("")
    async with screens(home) as driver:
        assert isinstance(driver.screen, WelcomeScreen)
        await driver.press("enter")
        assert driver.focused == "name"
        await driver.type("shop")
        await choose(driver, "#type", "sqlite")
        await driver.fill("#field-path #value", str(home.folder / "shop.db"))
        await driver.press("ctrl+t")
        assert "SQLite" in driver.text("#tested")
        await driver.press("ctrl+s")
        assert form(driver)._table == "storages"
        introduction = str(driver.screen.query("#box > .hint").first(Static).content)
        assert introduction == "The datasource shop was saved. Now a storage: the folder that holds the backups"
        assert driver.toasts == []
        await driver.type("disk")
        await driver.fill("#field-path #value", str(home.storage()))
        await driver.press("ctrl+s")
        assert isinstance(driver.screen, BackUpScreen)
        assert driver.focused == "go"
        await driver.press("enter")
        assert (await driver.watch_to_end()).snapshot.status == "completed"
        await driver.press("escape")
        assert "1 of 1" in driver.rows("#datasources")[0]
    assert home.config_path.read_text() == "", "what a person may have written is never changed"
    file = home.folder / "conf.d" / "datasource-shop.toml"
    assert tomllib.loads(file.read_text())["datasources"]["shop"]["type"] == "sqlite"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_mistakes_are_told_as_they_are_typed_and_nothing_is_saved(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("n")
        await driver.type("shop")
        assert "already a datasource of this name" in driver.text("#wrong")
        await driver.type("2")
        assert driver.text("#wrong") == ""
        await driver.fill("#field-port #value", "70000")
        assert "at most 65535" in driver.text("#wrong")
        assert "Port" in driver.text("#help")
        await driver.press("ctrl+s")
        assert isinstance(driver.screen, FormScreen)
        assert not (home.folder / "conf.d").exists()


async def test_a_password_is_masked_and_kept_in_a_file_of_its_own(home: Home, shop: Path) -> None:
    secret = "p w'\"1"
    async with screens(home) as driver:
        await driver.press("n")
        await driver.type("crm")
        await driver.fill("#field-database #value", "crm")
        await choose(driver, "#field-password #way", "typed")
        field = driver.widget("#field-password #value", Input)
        field.focus()
        field.value = secret
        assert field.password
        await driver.press("ctrl+s")
        assert not isinstance(driver.screen, FormScreen)
        assert secret not in (home.folder / "conf.d" / "datasource-crm.toml").read_text()

        driver.screen.query_one("#datasources").focus()
        await driver.press("end", "e")
        assert driver.widget("#field-password #way", Choice).key == "file"
        await driver.fill("#field-description #value", "the customers")
        await driver.press("ctrl+s")
        assert driver.app.config.datasources["crm"].description == "the customers"
        assert driver.app.config.datasource("crm")._password == secret
    file = home.folder / "secrets" / "datasource-crm-password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_job_is_made_changed_switched_off_and_deleted(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("3", "n")
        await driver.type("weekly")
        driver.widget("#field-storages #value", Ticks).focus()
        await driver.press("a")
        assert "expected an array" in driver.text("#wrong") or driver.widget("#field-storages #value", Ticks).ticked
        await driver.fill("#field-schedule #value", "sometimes")
        assert "expected five cron fields" in driver.text("#wrong")
        driver.widget("#field-schedule #value", Input).value = "sundays at 04:30"
        await driver.fill("#field-retention--keep_last #value", "7")
        await choose(driver, "#field-backup_type #value", "schema_only")
        await driver.press("ctrl+s")
        job = driver.app.config.job("weekly")
        assert (job.schedule, job.backup_type, set(job.storages)) == (
            "sundays at 04:30",
            "schema_only",
            {"disk", "nas"},
        )
        assert job.retention is not None
        assert job.retention.keep_last == 7

        await driver.press("end", "space")
        assert not driver.app.config.job("weekly").enabled
        assert "off" in driver.rows("#jobs")[1]
        await driver.press("e")
        await driver.fill("#field-description #value", "small")
        await driver.press("ctrl+s")
        assert driver.app.config.job("weekly").description == "small"
        assert not driver.app.config.job("weekly").enabled
        await driver.press("d")
        assert isinstance(driver.screen, ConfirmScreen)
        await driver.press("y")
        assert "weekly" not in driver.app.config.jobs
    assert "weekly" not in load_config(home.config_path).jobs


async def test_what_was_made_just_now_is_selected(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("3", "n")
        await driver.type("hourly")
        await driver.press("ctrl+s")
        await driver.until(lambda: len(driver.rows("#jobs")) == 2, "both jobs")
        await driver.settle()
        assert driver.widget("#jobs", Listing).key == "hourly"
        assert "hourly" in driver.text("#details")


async def test_what_a_job_needs_is_not_deleted(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("4", "n")
        await driver.type("third")
        await driver.fill("#field-path #value", str(home.storage("third")))
        await driver.press("ctrl+s", "3", "n")
        await driver.type("uses-it")
        ticks = driver.widget("#field-storages #value", Ticks)
        ticks.focus()
        await driver.press("end", "space")
        await driver.press("ctrl+s", "4", "end", "d")
        assert not isinstance(driver.screen, ConfirmScreen), "nobody is asked what is refused"
        assert any("third is used by uses-it" in toast for toast in driver.toasts)
        assert "third" in driver.app.config.storages


async def test_a_hand_written_datasource_is_not_deleted(home: Home, shop: Path) -> None:
    before = home.config_path.read_text()
    async with screens(home) as driver:
        await driver.press("d")
        assert not isinstance(driver.screen, ConfirmScreen), "nobody is asked what is refused"
        assert any("written by a person" in toast for toast in driver.toasts)
    assert home.config_path.read_text() == before


async def test_a_postgresql_database_is_configured_backed_up_and_restored_by_keyboard(
    home: Home, shop: Path, postgres_server: PostgresServer
) -> None:
    with postgres_server.database() as database:
        with postgres_server.connect(database) as connection:
            connection.execute("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i")
        async with screens(home) as driver:
            await driver.press("n")
            await driver.type("crm")
            await choose(driver, "#type", "postgres")
            await driver.fill("#field-database #value", database)
            driver.widget("#field-port #value", Input).value = str(postgres_server.port)
            await driver.fill("#field-username #value", "postgres")
            await driver.press("ctrl+t")
            assert "PostgreSQL" in driver.text("#tested"), driver.text("#tested")
            await driver.press("ctrl+s", "end")
            assert "● healthy" in driver.rows("#datasources")[1]
            await driver.press("b")
            driver.widget("#go", Button).focus()
            await driver.press("enter")
            assert (await driver.watch_to_end()).snapshot.status == "completed"
            await driver.press("escape")
            with postgres_server.connect(database) as connection:
                connection.execute("DROP TABLE t")
                connection.execute("CREATE TABLE other (x int)")
            await driver.press("r")
            await driver.until(lambda: "everything in it will be replaced" in driver.text("#preview"), "the preview")
            await driver.fill("#confirm", "crm")
            await driver.press("enter")
            assert (await driver.watch_to_end()).snapshot.status == "completed"
        with postgres_server.connect(database) as connection:
            row = connection.execute("SELECT count(*), sum(i) FROM t").fetchone()
        assert row == (1000, 500500)
        for name in [one for one in postgres_server.databases() if one.startswith(f"{database}__dgtui_old")]:
            postgres_server.drop_database(name)
    assert orders(shop)


async def test_one_key_does_not_throw_away_what_was_typed(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("1", "n")
        await driver.type("crm")
        await driver.press("escape")
        assert isinstance(driver.screen, ConfirmScreen)
        await driver.press("enter")
        assert form(driver).name_text == "crm"
        await driver.press("escape", "y")
        assert driver.focused == "datasources"
        await driver.press("n", "escape")
        assert driver.focused == "datasources", "nothing was typed"


async def test_nor_does_a_press_of_cancel(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("1", "n")
        await driver.type("crm")
        driver.widget("#no", Button).focus()
        await driver.press("enter")
        assert isinstance(driver.screen, ConfirmScreen)
        await driver.press("enter")
        assert form(driver).name_text == "crm"
        driver.widget("#no", Button).focus()
        await driver.press("enter", "y")
        assert driver.focused == "datasources"
        await driver.press("n")
        driver.widget("#no", Button).focus()
        await driver.press("enter")
        assert driver.focused == "datasources", "nothing was typed"


async def test_a_tree_has_no_tables(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("1", "n")
        await driver.type("web")
        await choose(driver, "#type", "files")
        await driver.fill("#field-path #value", str(home.folder))
        await driver.press("ctrl+t")
        assert "✔" in driver.text("#tested")
        assert "table" not in driver.text("#tested")


async def test_only_the_form_of_a_datasource_offers_to_connect(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        for place, offered in (("1", True), ("3", False), ("4", False)):
            await driver.press(place, "n")
            assert ("Test connection" in str(form(driver).query_one("#box").border_subtitle)) is offered
            await driver.press("escape")


async def test_no_label_runs_into_what_is_entered(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        for place in "134":
            await driver.press(place, "n")
            labels = [
                field.query_one(Label) for field in form(driver).query(SettingField) if field.spec.kind != "group"
            ]
            assert [str(one.content) for one in labels if len(str(one.content)) >= one.size.width] == []
            await driver.press("escape")


async def test_who_said_later_finds_the_welcome_again_in_the_palette(home: Home) -> None:
    home.config_path.write_text("")
    async with screens(home) as driver:
        await driver.press("escape")
        assert not isinstance(driver.screen, WelcomeScreen)
        commands = {one.title: one.callback for one in driver.app.get_system_commands(driver.screen)}
        commands["Welcome"]()
        await driver.settle()
        assert isinstance(driver.screen, WelcomeScreen)


async def test_the_demo_is_made_and_shown(home: Home) -> None:
    home.config_path.write_text("")
    async with screens(home) as driver:
        await driver.press("right", "tab", "enter")
        await driver.until(lambda: driver.rows("#datasources") != [], "the demo's shop")
        await driver.settle()
        assert driver.rows("#datasources")[0].startswith("shop")
        assert "2 of 2" in driver.rows("#datasources")[0]


async def test_spans_and_sizes_that_are_usual_are_written_as_people_write_them(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("3", "n")
        told = {field.spec.key: field.query(Input).first().placeholder for field in driver.screen.query(SettingField)
                if field.query(Input)}  # fmt: skip
        assert (told["idle_timeout"], told["grace"], told["jitter"]) == ("10 min", "1 d", "0 s")
        assert form(driver).values["storages"] == ["disk"]
        assert "idle_timeout" not in form(driver).values
        await driver.press("escape", "4", "n")
        assert driver.widget("#field-reserve #value", Input).placeholder == "0 B"


async def test_what_is_missing_is_told_in_the_words_of_the_labels(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("n", "ctrl+s")
        assert driver.text("#wrong").startswith("Name: expected a name of at most 100 ASCII letters")
        await driver.fill("#name", "other")
        await driver.press("ctrl+s")
        assert driver.text("#wrong") == "Database: has to be filled in"
        assert driver.screen.focused is driver.widget("#field-database #value", Input), "where it has to be filled in"
        await driver.type("other")
        assert driver.text("#wrong") == ""
        await driver.fill("#field-tls_ca #value", "relative.pem")
        await driver.fill("#field-port #value", "70000")
        assert driver.text("#wrong").startswith("Port: expected a whole number of at most 65535")


async def test_what_was_not_come_to_yet_is_no_mistake_before_it_is_saved(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("n")
        driver.widget("#field-database #value", Input).focus()
        await driver.settle()
        assert driver.text("#wrong") == ""


async def test_a_job_without_anything_to_back_up_says_where_to_make_it(home: Home) -> None:
    home.config_path.write_text("")
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("escape", "3", "n")
        await driver.type("nightly")
        await driver.press("ctrl+s")
        assert driver.text("#wrong") == "Datasource: there is no datasource yet; make one first: Esc, 1, n"


async def test_a_key_of_a_group_is_told_with_its_group(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("3", "n")
        await driver.type("weekly")
        await driver.fill("#field-retention--keep_last #value", "many")
        assert driver.text("#wrong").startswith("Retention, keep last: expected a whole number")


async def test_words_that_end_in_the_middle_of_a_quotation_are_not_taken_for_one(home: Home, shop: Path) -> None:
    """A command of one word with blanks in it would be saved, and not be found by the run."""
    async with screens(home) as driver:
        await driver.press("3", "n")
        await driver.type("weekly")
        await driver.fill("#field-before #value", "/bin/echo 'about to begin")
        assert driver.text("#wrong").startswith("Before: a quotation mark is not closed")
        await driver.type("'")
        assert driver.text("#wrong") == ""
        await driver.fill("#field-tables #value", "it's")
        assert driver.text("#wrong") == ""
        assert form(driver).values["tables"] == ["it's"]


async def test_a_number_that_is_too_long_to_be_read_is_a_mistake(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("3", "n")
        await driver.type("weekly")
        driver.widget("#field-retries #value", Input).value = "9" * 5000
        await driver.press("ctrl+s")
        assert isinstance(driver.screen, FormScreen)
        assert "retries" in form(driver).mistakes()


async def test_enter_leads_through_the_whole_form(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("n", "enter")
        assert driver.focused == "type"
        await driver.press("enter")
        assert driver.screen.focused is driver.widget("#field-database #value", Input)


async def test_what_somebody_else_changed_meanwhile_is_not_written_over(home: Home, shop: Path) -> None:
    engine = home.engine()
    made = {"datasource": "shop", "storages": ["disk"]}
    engine.save_object("jobs", "weekly", made, new=True)
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("3", "end", "e")
        await driver.fill("#field-description #value", "mine")
        engine.save_object("jobs", "weekly", {**made, "description": "theirs"}, new=False)
        await driver.press("ctrl+s")
        form(driver)
        assert driver.text("#wrong").startswith(
            "weekly was changed by somebody else meanwhile\nLeave it without saving"
        )
        assert load_config(home.config_path).job("weekly").description == "theirs"
        engine.remove_object("jobs", "weekly")
        await driver.press("ctrl+s")
        assert "weekly was removed by somebody else meanwhile" in driver.text("#wrong")
    assert "weekly" not in load_config(home.config_path).jobs


async def test_where_nothing_can_be_written_the_form_says_what_to_do(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("4", "n")
        await driver.type("other")
        await driver.fill("#field-path #value", "/srv/other")
        (home.folder / "conf.d").write_text("a file in the place of the folder")
        await driver.press("ctrl+s")
        form(driver)
        told = driver.text("#wrong").splitlines()
        assert "conf.d" in told[0]
        assert told[1:], "the next step"
