"""Retention: what stays and what goes, over years of history and under a clock that the test sets."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgtui.engine.model import Backup, CopyStatus
from dgtui.engine.retention import JobRules, RetentionPlan, Situation, decide, decision
from dgtui.engine.retention_settings import RetentionSettings
from dgtui.engine.settings import ByteSize, Duration
from tests.support.retention_histories import (
    DAY,
    START,
    ZURICH,
    backup,
    changed,
    copy_at,
    history,
    holds,
    kept,
    situation,
    with_copies,
)

# What each rule keeps


def test_without_rules_everything_stays() -> None:
    plan = decide(situation(history(5), None))
    assert kept(plan) == [0, 1, 2, 3, 4]
    assert {one.expiry for one in plan.verdicts} == {"never"}


def test_the_newest_of_each_stretch_of_the_calendar_is_kept() -> None:
    backups = history(800)
    rules = RetentionSettings(keep_last=2, keep_daily=7, keep_weekly=4, keep_monthly=12, keep_yearly=3)
    plan = decide(situation(backups, rules))
    moments = {one.execution_id: one.started_at for one in backups}
    by_rule: dict[str, list[str]] = {}
    for verdict in plan.kept:
        for rule in verdict.kept_by:
            by_rule.setdefault(rule, []).append(f"{moments[verdict.execution_id]:%Y-%m-%d}")
    # The newest one is of 10 March 2025, a Monday.
    assert by_rule["last"] == ["2025-03-09", "2025-03-10"]
    assert by_rule["daily"] == [f"2025-03-{day:02d}" for day in range(4, 11)]
    assert by_rule["weekly"] == ["2025-02-23", "2025-03-02", "2025-03-09", "2025-03-10"]
    assert by_rule["monthly"][:2] == ["2024-04-30", "2024-05-31"]
    assert by_rule["monthly"][-2:] == ["2025-02-28", "2025-03-10"]
    assert len(by_rule["monthly"]) == 12
    assert by_rule["yearly"] == ["2023-12-31", "2024-12-31", "2025-03-10"]


def test_days_without_a_backup_take_no_place() -> None:
    backups = [backup(number, START + days * DAY) for number, days in enumerate((0, 1, 100, 101, 300))]
    assert kept(decide(situation(backups, RetentionSettings(keep_daily=3)))) == [2, 3, 4]


def test_the_day_is_that_of_the_jobs_time_zone() -> None:
    # 22:30 and 23:30 UTC on 1 July are 00:30 and 01:30 of the same day in Zurich, 21:30 is the day before.
    backups = [backup(number, datetime(2024, 7, 1, 21 + number, 30, tzinfo=UTC)) for number in range(3)]
    rules = RetentionSettings(keep_daily=5)
    assert kept(decide(situation(backups, rules))) == [2]
    assert kept(decide(situation(backups, rules, zone=ZURICH))) == [0, 2]


@pytest.mark.parametrize(
    ("month", "day", "hours"),
    [(10, 27, 25), (3, 31, 23)],
    ids=["the hour that comes twice", "the hour that is left out"],
)
def test_the_nights_in_which_the_clock_is_changed(month: int, day: int, hours: int) -> None:
    midnight = datetime(2024, month, day, tzinfo=ZURICH).astimezone(UTC)
    backups = history(30, start=midnight - timedelta(minutes=30), step=timedelta(minutes=30 * 2))
    backups += [backup(100 + n, one.started_at + timedelta(minutes=20)) for n, one in enumerate(backups)]
    of_the_day = [one for one in backups if one.started_at.astimezone(ZURICH).day == day]
    plan = decide(situation(of_the_day, RetentionSettings(keep_hourly=100), zone=ZURICH))
    assert len(kept(plan)) == min(hours, 29)
    assert len(kept(decide(situation(of_the_day, RetentionSettings(keep_daily=9), zone=ZURICH)))) == 1


def test_a_leap_day_and_a_week_that_belongs_to_two_years() -> None:
    february = history(3, start=datetime(2024, 2, 28, 3, tzinfo=UTC))
    assert kept(decide(situation(february, RetentionSettings(keep_monthly=5)))) == [1, 2]
    assert kept(decide(situation(february, RetentionSettings(keep_daily=5)))) == [0, 1, 2]
    # 29 December 2024 is a Sunday; from the 30th to 5 January it is the first week of 2025.
    turn = history(9, start=datetime(2024, 12, 29, 3, tzinfo=UTC))
    assert kept(decide(situation(turn, RetentionSettings(keep_weekly=5)))) == [0, 7, 8]


def test_what_is_too_old_goes_although_a_rule_would_keep_it() -> None:
    rules = RetentionSettings(keep_yearly=5, max_age=Duration(400 * 86400))
    plan = decide(situation(history(800), rules))
    assert kept(plan) == [730, 799]
    assert {one.removed_by for one in plan.removals} == {"max_age", "not_kept"}


def test_the_oldest_go_until_the_rest_fits() -> None:
    plan = decide(situation(history(10), RetentionSettings(max_total_size=ByteSize(350))))
    assert kept(plan) == [7, 8, 9]
    assert {one.removed_by for one in plan.removals} == {"max_total_size"}
    assert plan.freed_bytes == 700


def test_the_room_of_a_storage_is_for_all_jobs_together() -> None:
    mine, other = (
        history(6),
        [
            msgspec.structs.replace(one, execution_id=f"e{100 + n}", job_id="other", sequence=50 + n)
            for n, one in enumerate(history(6, start=START + timedelta(hours=1)))
        ],
    )
    asked = situation([*mine, *other], RetentionSettings())
    asked = Situation(
        now=asked.now,
        backups=asked.backups,
        rules={**asked.rules, ("other", "disk"): asked.rules["job", "disk"]},
        room={"disk": 400},
    )
    assert kept(decide(asked)) == [4, 5, 104, 105]


def test_room_is_made_in_one_pass_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_sizes: list[str] = []

    def counted(one: Backup) -> int:
        asked_sizes.append(one.execution_id)
        return one.compressed_size_bytes or 0

    monkeypatch.setattr(decision, "size_of", counted)
    count = 20_000
    backups = history(count, step=timedelta(minutes=20))
    asked = situation(backups, RetentionSettings(max_total_size=ByteSize(100 * 50)))
    plan = changed(asked, room={"disk": 100 * 20})
    assert kept(plan) == list(range(count - 20, count))
    # Once in each sum, once where it goes.
    assert len(asked_sizes) <= 3 * count


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12))
def test_room_goes_to_the_oldest_that_nothing_left_needs(room: int, pairs: list[tuple[int, int]]) -> None:
    needs: dict[str, frozenset[str]] = {}
    for user, needed in pairs:
        if needed < user:
            needs[f"e{user}"] = needs.get(f"e{user}", frozenset()) | {f"e{needed}"}
    backups = history(12, step=DAY)
    plan = changed(situation(backups, RetentionSettings(max_total_size=ByteSize(100 * room))), needs=needs)
    left = [one.execution_id for one in backups]
    while len(left) > room:
        needed_now = {needed for one in left for needed in needs.get(one, ())}
        oldest = next((one for one in left[:-1] if one not in needed_now), None)
        if oldest is None:
            break
        left.remove(oldest)
    assert kept(plan) == [int(one[1:]) for one in left]


# What is never removed


def test_the_newest_stays_whatever_its_age() -> None:
    old = situation(history(3), RetentionSettings(max_age=Duration(3600)), now=START + 5000 * DAY)
    plan = decide(old)
    assert kept(plan) == [2]
    assert holds(plan, 2) == {"newest"}


def test_the_newest_of_another_kind_stays_too() -> None:
    backups = history(4)
    backups[3] = msgspec.structs.replace(backups[3], backup_type="schema_only")
    assert kept(decide(situation(backups, RetentionSettings(keep_last=1)))) == [2, 3]


def test_the_newest_is_the_newest_that_lies_whole_at_the_storage() -> None:
    backups = history(4)
    broken = copy_at("disk", "corrupt", "/disk/3")
    backups[3] = with_copies(backups[3], broken)
    plan = decide(situation(backups, RetentionSettings(keep_last=1)))
    assert kept(plan) == [2, 3]
    assert (holds(plan, 2), holds(plan, 3)) == ({"newest"}, {"in_doubt"})


def test_a_pinned_a_proven_a_read_one_and_a_way_back_stay() -> None:
    backups = history(9)
    backups[1] = msgspec.structs.replace(backups[1], pin="the merger")
    asked = situation(backups, RetentionSettings(keep_last=1))
    plan = changed(asked, proven=frozenset({"e2", "e4"}), in_use=frozenset({"e5"}), ways_back={"e6": "r1"})
    assert holds(plan, 6) == {"way_back"}
    assert kept(plan) == [1, 4, 5, 6, 8]
    assert (holds(plan, 1), holds(plan, 4), holds(plan, 5)) == ({"pinned"}, {"newest_proven"}, {"in_use"})
    assert [one.expiry for one in plan.of("e1")] == ["never"]


def test_a_safety_copy_stays_for_its_time_and_no_count_touches_it() -> None:
    safety = [
        msgspec.structs.replace(one, purpose="safety", protected_until=START + timedelta(days=20 + n))
        for n, one in enumerate(history(3))
    ]
    backups = [*safety, *[backup(10 + n, START + (10 + n) * DAY) for n in range(3)]]
    rules = RetentionSettings(keep_last=1, max_age=Duration(3600), max_total_size=ByteSize(1))
    assert kept(decide(situation(backups, rules, now=START + 15 * DAY))) == [0, 1, 2, 12]
    over = decide(situation(backups, rules, now=START + timedelta(days=21, hours=1)))
    assert kept(over) == [2, 12]
    assert {one.removed_by for one in over.of("e0")} == {"safety_over"}
    alone = decide(situation(safety, rules, now=START + 100 * DAY))
    assert kept(alone) == [0, 1, 2]


def test_what_an_increment_needs_stays_with_it() -> None:
    needs = {"e3": frozenset({"e2"}), "e2": frozenset({"e0"}), "e9": frozenset({"e8"})}
    backups = history(10)
    backups[3] = msgspec.structs.replace(backups[3], pin="kept")
    plan = changed(situation(backups, RetentionSettings(keep_last=1)), needs=needs)
    assert kept(plan) == [0, 2, 3, 8, 9]
    assert holds(plan, 0) == {"needed"}
    sized = changed(
        situation(history(4), RetentionSettings(max_total_size=ByteSize(100))), needs={"e3": frozenset({"e0"})}
    )
    assert kept(sized) == [0, 3]


def test_of_several_that_need_one_the_newest_is_named_whichever_job_it_is_of() -> None:
    backups = history(4)
    backups[1] = msgspec.structs.replace(backups[1], job_id="other", pin="kept")
    backups[2] = msgspec.structs.replace(backups[2], pin="kept")
    needs = {f"e{number}": frozenset({"e0"}) for number in (1, 2)}
    plan = changed(situation(backups, RetentionSettings(keep_last=1)), needs=needs)
    (verdict,) = plan.of("e0")
    assert [(hold.kind, hold.detail) for hold in verdict.holds] == [("needed", "e2")]


@pytest.mark.parametrize("status", ["unreachable", "unknown", "corrupt"])
def test_nothing_goes_while_a_copy_elsewhere_is_in_doubt(status: CopyStatus) -> None:
    backups = [backup(number, START + number * DAY, "disk", "nas") for number in range(4)]
    doubtful = copy_at("nas", status, "/nas/1")
    backups[1] = with_copies(backups[1], backups[1].copies[0], doubtful)
    plan = decide(situation(backups, RetentionSettings(keep_last=1), storages=("disk", "nas")))
    assert kept(plan) == [1, 3]
    assert holds(plan, 1) == {"copy_in_doubt"}


def test_a_copy_that_is_known_to_be_gone_elsewhere_is_in_no_doubt() -> None:
    backups = [backup(number, START + number * DAY, "disk", "nas") for number in range(4)]
    gone = copy_at("nas", "missing", "/nas/1")
    backups[1] = with_copies(backups[1], backups[1].copies[0], gone)
    plan = decide(situation(backups, RetentionSettings(keep_last=1), storages=("disk", "nas")))
    assert (kept(plan), kept(plan, "nas")) == ([3], [3])


def test_a_copy_that_never_arrived_is_in_no_doubt() -> None:
    backups = history(3)
    never = copy_at("nas", "missing", "")
    backups[0] = msgspec.structs.replace(with_copies(backups[0], *backups[0].copies, never), status="partial")
    assert kept(decide(situation(backups, RetentionSettings(keep_last=1)))) == [2]


def test_nothing_goes_where_the_last_upload_failed() -> None:
    backups = [backup(number, START + number * DAY, "disk", "nas") for number in range(4)]
    asked = situation(backups, RetentionSettings(keep_last=1), storages=("disk", "nas"))
    plan = changed(asked, failed_uploads=frozenset({("job", "nas")}))
    assert (kept(plan, "disk"), kept(plan, "nas")) == ([3], [0, 1, 2, 3])


def test_each_storage_counts_for_itself() -> None:
    backups = [
        backup(number, START + number * DAY, *(("disk", "nas") if number < 3 else ("disk",))) for number in range(6)
    ]
    plan = decide(situation(backups, RetentionSettings(keep_last=2), storages=("disk", "nas")))
    assert (kept(plan, "disk"), kept(plan, "nas")) == ([4, 5], [1, 2])


def test_a_clock_that_was_set_back_removes_nothing_that_was_just_made() -> None:
    wrong = history(5, start=START + 3000 * DAY)
    right = [backup(100 + n, START + n * DAY) for n in range(5)]
    plan = decide(situation([*wrong, *right], RetentionSettings(keep_last=2, keep_daily=3), now=START + 5 * DAY))
    assert kept(plan) == [2, 3, 4, 102, 103, 104]


# When it will go


def expiry(plan: RetentionPlan, number: int) -> tuple[str, datetime | None]:
    """What is said of the end of a backup."""
    (verdict,) = plan.of(f"e{number}")
    return verdict.expiry, verdict.expires_at


@pytest.mark.parametrize(
    "rules",
    [
        RetentionSettings(keep_last=3),
        RetentionSettings(keep_daily=4),
        RetentionSettings(keep_weekly=3),
        RetentionSettings(keep_last=2, keep_weekly=2, keep_monthly=3),
        RetentionSettings(keep_hourly=5, keep_monthly=2),
        RetentionSettings(max_age=Duration(9 * 86400)),
        RetentionSettings(keep_daily=20, keep_monthly=4, max_age=Duration(40 * 86400)),
    ],
    ids=str,
)
@pytest.mark.parametrize("zone", [zoneinfo.ZoneInfo("UTC"), ZURICH], ids=str)
def test_the_day_it_goes_is_the_day_it_is_removed_when_backups_go_on(
    rules: RetentionSettings, zone: zoneinfo.ZoneInfo
) -> None:
    backups = history(45)
    number = len(backups)
    moment = backups[-1].started_at
    plan = decide(situation(backups, rules, now=moment, zone=zone))
    gone = {one.execution_id for one in plan.removals}
    backups = [one for one in backups if one.execution_id not in gone]
    foretold = {one.execution_id: one.expires_at for one in plan.kept}
    assert {one.expiry for one in plan.kept} == {"known"}
    went: dict[str, datetime] = {}
    for _ in range(130):
        moment += DAY
        backups.append(backup(number, moment))
        number += 1
        plan = decide(situation(backups, rules, now=moment, zone=zone))
        gone = {one.execution_id for one in plan.removals}
        went.update({one: moment for one in gone if one in foretold})
        backups = [one for one in backups if one.execution_id not in gone]
    for execution_id, day in went.items():
        said = foretold[execution_id]
        assert said is not None
        # `max_age` is over in between, and acted on with the next backup.
        assert timedelta(0) <= day - said <= DAY, (execution_id, day, said)
    assert len(went) >= len(foretold) - 1


def test_where_nothing_tells_when_the_next_one_comes() -> None:
    plan = decide(situation(history(1), RetentionSettings(keep_last=1)))
    assert expiry(plan, 0) == ("unknown", None)


def test_a_number_that_is_never_reached_costs_nothing() -> None:
    asked: list[datetime] = []

    def next_backup(after: datetime) -> datetime:
        asked.append(after)
        return after + DAY

    backups = history(3)
    now = backups[-1].started_at + timedelta(hours=1)
    job = JobRules(RetentionSettings(keep_last=100_000, keep_yearly=100_000), zoneinfo.ZoneInfo("UTC"), next_backup)
    plan = decide(Situation(now=now, backups=backups, rules={("job", "disk"): job}))
    assert (kept(plan), expiry(plan, 0)) == ([0, 1, 2], ("unknown", None))
    assert len(asked) < 10


def test_room_can_run_out_before_the_day() -> None:
    plan = decide(situation(history(3), RetentionSettings(keep_last=3, max_total_size=ByteSize(10_000))))
    assert expiry(plan, 0) == ("at_latest", START + 3 * DAY)
