"""`notifications`, `notify` and `audit`."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from dgtui.cli.looking import output_width
from dgtui.cli.options import LIST_LIMIT, AsJson, Limit
from dgtui.cli.output import print_data, print_json, print_json_rows, say, say_how_many_more
from dgtui.engine.errors import EXIT_DAMAGED, EXIT_DONE, EXIT_FAILED, EXIT_PARTIAL, ConfigError
from dgtui.wording.words import one_line, short_id, took_text

if TYPE_CHECKING:
    from dgtui.engine.audit import Verdict
    from dgtui.engine.notification_model import AuditEntry, Notification
    from dgtui.engine.notify.courier import DeliveryReport
    from dgtui.engine.records import Undelivered
    from dgtui.wording.terminal import Look


def notifications(
    kind: Annotated[
        str | None, typer.Option("--type", metavar="T", help="Only of this type, such as backup_failed.")
    ] = None,
    unread: Annotated[bool, typer.Option("--unread", help="Only what was not read yet.")] = False,
    limit: Limit = None,
    mark_read: Annotated[
        str | None, typer.Option("--mark-read", metavar="ID|all", help="Mark one, or all, as read.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what there was to tell, the unread first."""
    from dgtui.cli.watch import open_beside_mistakes
    from dgtui.engine.notification_model import NotificationKind

    kinds = get_args(NotificationKind)
    if kind is not None and kind not in kinds:
        raise ConfigError(f"There is no type {kind!r}", subject=kind, hint=f"One of: {', '.join(kinds)}")
    with open_beside_mistakes() as engine:
        records = engine.records
        if mark_read is not None:
            wanted = None if mark_read == "all" else [records.notification(mark_read).notification_id]
            count = records.mark_all_read() if wanted is None else records.mark_read(wanted)
            if as_json:
                print_json({"marked_read": count})
            say(f"{count} marked as read")
            return
        wanted_kind: NotificationKind | None = next((known for known in kinds if known == kind), None)
        shown = limit if as_json else limit or LIST_LIMIT
        found = records.notifications(kind=wanted_kind, unread=unread, limit=shown)
        total = records.notification_count(kind=wanted_kind, unread=unread)
    if as_json:
        print_json_rows(found)
        return
    from dgtui.wording.terminal import look_of

    for line in notification_lines(found, look=look_of(sys.stdout), width=output_width()) if found else []:
        print_data(line)
    if not found:
        say("No notifications")
    elif limit is None:
        say_how_many_more(len(found), total)


def notification_lines(found: "list[Notification]", *, look: "Look", width: int | None) -> list[str]:
    """The table of `notifications`."""
    from dgtui.cli.table import table_lines
    from dgtui.wording.states import SEVERITY_MARKS, lasting_text
    from dgtui.wording.words import time_text

    rows = [
        (
            short_id(one.notification_id),
            time_text(one.created_at),
            "" if one.read_at else "new",
            f"{SEVERITY_MARKS[one.severity].shown(look)} {one.severity}",
            one.kind,
            lasting_text(one),
            one_line(one.message),
        )
        for one in found
    ]
    return table_lines(("ID", "Told", "", "Severity", "Type", "State", "Message"), rows, width=width)


def notify(
    test: Annotated[
        str | None, typer.Option("--test", metavar="CHANNEL", help="Send a test through a channel.")
    ] = None,
    deliver: Annotated[bool, typer.Option("--deliver", help="Send what is due now, once.")] = False,
    again: Annotated[
        str | None, typer.Option("--again", metavar="ID", help="Send a message now that waits or was perhaps sent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was not sent yet, and why; send it, or a test."""
    from dgtui.cli.watch import open_engine

    if sum((test is not None, deliver, again is not None)) > 1:
        raise ConfigError("--test, --deliver and --again exclude each other", hint="Leave all but one out")
    with open_engine() as engine:
        if test is not None:
            odd = engine.records.test_channel(test)
            enabled = engine.config.channel(test).enabled
            if as_json:
                print_json({"channel": test, "taken": True, "problem": odd, "enabled": enabled})
            say(f"{one_line(test)}: the receiver took the test" + (f", but: {one_line(odd)}" if odd else ""))
            if not enabled:
                say(f"warning: {one_line(test)} is switched off: nothing else is sent until it says enabled = true")
            raise typer.Exit(EXIT_PARTIAL if odd else EXIT_DONE)
        if deliver or again is not None:
            if again is not None:
                engine.records.send_again(again)
            raise typer.Exit(_delivered(engine.records.deliver(), as_json=as_json))
        found = engine.records.undelivered()
    if as_json:
        print_json(found)
        return
    for one in found:
        print_data(undelivered_line(one))
    if not found:
        say("Everything was sent")


def _delivered(report: "DeliveryReport", *, as_json: bool) -> int:
    if as_json:
        print_json(report)
    for problem in report.problems:
        say(f"warning: {one_line(problem)}")
    if report.busy:
        say("Another process is delivering just now")
    else:
        say(f"{report.sent} sent, {report.failed} failed, {report.perhaps_sent} perhaps sent before")
    return EXIT_FAILED if report.failed else EXIT_DONE


def undelivered_line(one: "Undelivered") -> str:
    """A message that was not sent for sure, as `notify` prints it."""
    from dgtui.wording.words import time_text

    more = f" and {len(one.titles) - 1} more" if len(one.titles) > 1 else ""
    words = [
        f"{short_id(one.delivery_id) or '-':8}  {one.channel}  {one.status} for {took_text(max(one.age_seconds, 0))}",
        f"{one.titles[0] if one.titles else ''}{more}",
    ]
    if one.attempts:
        words.append(f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}")
    if one.reason:
        words.append(one.reason)
    if one.next_try_at is not None:
        words.append(f"next {time_text(one.next_try_at)}")
    return one_line("; ".join(words))


def audit(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only from this time on: 2025-02-13, 2025-02-13T06:00, or 7d."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Prove that nothing was changed or removed.")] = False,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what, the newest first."""
    from dgtui.cli.watch import open_beside_mistakes

    begin = moment_of(since) if since is not None else None
    with open_beside_mistakes() as engine:
        if verify:
            verdict = engine.records.verify_audit()
            raise typer.Exit(_told_verdict(verdict, as_json=as_json))
        entries = engine.records.audit(since=begin, limit=limit if as_json else limit or LIST_LIMIT)
        total = engine.records.audit_count(since=begin)
    if as_json:
        print_json_rows(entries)
        return
    for line in audit_lines(entries, width=output_width()) if entries else []:
        print_data(line)
    if not entries:
        say("No entries")
    elif limit is None:
        say_how_many_more(len(entries), total)


def _told_verdict(verdict: "Verdict", *, as_json: bool) -> int:
    if as_json:
        print_json(verdict)
    for damage in verdict.damage:
        at = f"entry {damage.number}: " if damage.number else ""
        say(one_line(f"damaged: {at}{damage.kind}: {damage.text}"))
    if verdict.damage:
        return EXIT_DAMAGED
    say(f"{verdict.entries} entries, each as it was written; the newest has the hash {verdict.head}")
    return EXIT_DONE


def audit_lines(entries: "list[AuditEntry]", *, width: int | None) -> list[str]:
    """The table of `audit`."""
    from dgtui.cli.table import table_lines
    from dgtui.wording.words import time_text

    rows = []
    for entry in entries:
        who = entry.actor.user if entry.actor.program == "dgtui" else f"{entry.actor.user} ({entry.actor.program})"
        rows.append(
            (
                str(entry.number),
                time_text(entry.at),
                one_line(who + (f" from {entry.actor.origin}" if entry.actor.origin else "")),
                entry.action,
                one_line(f"{entry.object_kind} {entry.object_name}"),
                entry.outcome,
                one_line("; ".join(entry.details)),
            )
        )
    return table_lines(("No.", "When", "Who", "What", "On", "Outcome", "Details"), rows, width=width)


def moment_of(text: str) -> datetime:
    """A time as people write it: a date, a date and time of this machine, or how long ago. Raises ConfigError."""
    from datetime import timedelta

    from dgtui.engine.messages import now
    from dgtui.engine.settings import Duration

    try:
        return now() - timedelta(seconds=Duration.parse(text))
    except ValueError:
        pass
    try:
        # Without a zone it is the machine's own time.
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{text!r} is no time", subject=text, hint="Write 2025-02-13, 2025-02-13T06:00, or 7d for seven days ago"
        ) from None
