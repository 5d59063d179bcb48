"""The audit log knows who changed the configuration, also where nobody did it through the program."""

import signal
from pathlib import Path

from dgtui.engine.audit import HEAD_NAME, user_name
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.notification_model import AuditEntry, Notification
from tests.support.daemons import StartDaemon
from tests.support.homes import Home


def configure(home: Home, more: str = "") -> None:
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{home.folder}"\n', more=more)


def changes(home: Home) -> list[AuditEntry]:
    """What the audit log says of the configuration, the oldest first."""
    entries = home.engine().records.audit()
    found = [one for one in entries if "configuration" in one.action or one.action in ("enable", "disable")]
    return sorted(found, key=lambda one: one.number)


def test_an_edit_by_hand_is_noticed_at_the_next_start_and_told_once(home: Home) -> None:
    configure(home)
    assert changes(home) == [], "the first configuration is no change"
    configure(home, more="[guardian]\nmax_concurrent = 3\n")
    other = home.folder / "conf.d" / "more.toml"
    other.parent.mkdir()
    other.write_text("")
    assert home.dgtui("list").exit_code == 0
    found = changes(home)
    assert [(one.action, one.object_name) for one in found] == [
        ("add to configuration", str(other)),
        ("change configuration", str(home.config_path)),
    ]
    owner = user_name(home.config_path.stat().st_uid)
    assert {(one.actor.user, one.actor.program, one.outcome) for one in found} == {(owner, "by hand", "noticed")}
    other.unlink()
    assert [(one.action, one.object_name) for one in changes(home)[2:]] == [("remove from configuration", str(other))]
    assert len(changes(home)) == 3
    assert home.dgtui("audit", "--verify").exit_code == 0


def test_a_change_is_told_once_also_where_the_head_of_the_audit_log_cannot_be_written(home: Home) -> None:
    """Each start told of it once more, for as long as the disk was full."""
    configure(home)
    home.engine().close()
    configure(home, more="[guardian]\nmax_concurrent = 3\n")
    head = home.state / HEAD_NAME
    head.unlink(missing_ok=True)
    head.mkdir()
    first, second = home.dgtui("list"), home.dgtui("list")
    assert "The entry itself is written" in first.errors
    assert "The entry itself" not in second.errors
    assert len(changes(home)) == 1


def test_what_the_program_changes_itself_was_not_done_by_hand(home: Home) -> None:
    configure(home)
    engine = home.engine()
    values = {"datasource": "shop", "storages": ["disk"], "schedule": "hourly"}
    engine.save_object("jobs", "made", values, new=True)
    assert home.dgtui("disable", "made").exit_code == 0
    assert home.dgtui("disable", "made").exit_code == 0
    assert home.dgtui("enable", "made").exit_code == 0
    engine.reload()
    engine.remove_object("jobs", "made")
    assert [(one.action, one.object_name, one.actor.program) for one in changes(home)] == [
        ("add to configuration", "made", "dgtui"),
        ("disable", "made", "dgtui"),
        ("enable", "made", "dgtui"),
        ("remove from configuration", "made", "dgtui"),
    ]


def test_the_daemon_tells_of_a_wrong_configuration_of_edits_and_of_secrets(
    home: Home, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("tr0ub4dor\n")
    password.chmod(0o600)
    good = (
        '[datasources.shop]\ntype = "postgres"\nport = 1\ndatabase = "x"\n'
        f'password = {{ file = "{password}" }}\n[guardian]\nhealth_interval = 10\n'
    )
    home.config_path.write_text(good)
    daemon = start_daemon().wait_ready()
    engine = home.engine()

    def told() -> list[Notification]:
        listed = Notifications(engine.catalog).listed(kind="configuration_wrong")
        return sorted(listed, key=lambda one: one.sequence)

    home.config_path.write_text(good + "\nnonsense = 1\n")
    daemon.wait_for(lambda: len(told()) == 1, "the notification")
    assert "config.toml" in told()[0].message
    home.config_path.write_text(good + "\n")
    daemon.wait_for(lambda: told()[0].ended_at is not None, "the end of it")
    assert len(told()) == 1
    (restored,) = Notifications(engine.catalog).listed(kind="configuration_restored")
    assert restored.ended_kinds == ("configuration_wrong",), "who was told of that is told of this"

    def reads() -> list[AuditEntry]:
        return [one for one in engine.records.audit() if one.action == "read secret"]

    daemon.wait_for(lambda: bool(reads()), "the password to be read for a check")
    daemon.stop(signal.SIGTERM)
    (read,) = reads()
    assert (read.actor.program, read.object_name) == ("daemon", "datasources.shop.password")
    edits = [one for one in engine.records.audit() if one.actor.program == "by hand"]
    assert {one.object_name for one in edits} == {str(home.config_path)}
    assert len(edits) == 2
