"""Retention: what stays and what goes, over years of history and under a clock that the test sets."""

import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgtui.engine.model import Backup, CopyStatus, KnownCopy, where_text
from dgtui.engine.retention import JobRules, RetentionPlan, Situation, Verdict, decide, decision, expected_by_history
from dgtui.engine.retention_settings import RetentionSettings
from dgtui.engine.settings import ByteSize, Duration
from tests.support.plain_retention import plain_verdicts

START = datetime(2023, 1, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ZURICH = zoneinfo.ZoneInfo("Europe/Zurich")


def copy_at(storage: str, status: CopyStatus, path: str) -> KnownCopy:
    """A copy in some state."""
    return KnownCopy(storage=storage, status=status, judged=status == "corrupt", place=path)


def with_copies(one: Backup, *copies: KnownCopy) -> Backup:
    """The same backup elsewhere."""
    return msgspec.structs.replace(one, where=where_text(copies))


def backup(number: int, taken: datetime, *storages: str, size: int = 100, status: CopyStatus = "available") -> Backup:
    """A good backup with copies at these storages, else at `disk`."""
    copies = (copy_at(name, "available", f"/{name}/{number}") for name in storages or ("disk",))
    return Backup(
        execution_id=f"e{number}",
        job_id="job",
        job="nightly",
        datasource="shop",
        status="completed",
        backup_type="full",
        started_at=taken,
        compressed_size_bytes=size,
        folder=f"{taken:%Y-%m-%d_%H%M%S}",
        purpose="backup",
        protected_until=None,
        pin=None,
        where=where_text(copies),
        sequence=number,
    )


def history(count: int, *, start: datetime = START, step: timedelta = DAY) -> list[Backup]:
    """Backups one after the other."""
    return [backup(number, start + number * step) for number in range(count)]


def situation(
    backups: Sequence[Backup],
    rules: RetentionSettings | None,
    *,
    now: datetime | None = None,
    zone: zoneinfo.ZoneInfo | None = None,
    storages: Sequence[str] = ("disk",),
) -> Situation:
    """What `decide` is asked; an hour after the newest backup where nothing else is said."""
    moment = now or max((one.started_at for one in backups), default=START) + timedelta(hours=1)
    job = (
        None
        if rules is None
        else JobRules(rules, zone or zoneinfo.ZoneInfo("UTC"), expected_by_history(one.started_at for one in backups))
    )
    known: Mapping[tuple[str, str], JobRules] = {} if job is None else {("job", name): job for name in storages}
    return Situation(now=moment, backups=backups, rules=known)


def changed(asked: Situation, **changes: object) -> RetentionPlan:
    """The plan for a situation that differs in something."""
    values = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    return decide(Situation(**{**values, **changes}))


def kept(plan: RetentionPlan, storage: str = "disk") -> list[int]:
    """The numbers of the backups that stay at a storage."""
    return sorted(int(one.execution_id[1:]) for one in plan.kept if one.storage == storage)


def holds(plan: RetentionPlan, number: int, storage: str = "disk") -> set[str]:
    """What protects a backup."""
    return {hold.kind for one in plan.of(f"e{number}") if one.storage == storage for hold in one.holds}


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


# Whatever the history


COUNTS = st.one_of(st.none(), st.integers(1, 5))
RULES = st.builds(
    RetentionSettings,
    keep_last=COUNTS,
    keep_hourly=COUNTS,
    keep_daily=COUNTS,
    keep_weekly=COUNTS,
    keep_monthly=COUNTS,
    keep_yearly=COUNTS,
    max_age=st.one_of(st.none(), st.integers(1, 500).map(lambda days: Duration(days * 86400))),
    max_total_size=st.one_of(st.none(), st.integers(1, 2000).map(ByteSize)),
)
STATES: list[CopyStatus] = ["available", "available", "available", "missing", "unreachable", "corrupt", "unknown"]


@st.composite
def histories(draw: st.DrawFn) -> Situation:
    """Any history: gaps, a clock that jumps, copies in any state, pins, safety copies, increments."""
    count = draw(st.integers(1, 25))
    moments = draw(st.lists(st.integers(0, 900 * 24), min_size=count, max_size=count))
    if draw(st.booleans()):
        moments.sort()
    backups = []
    for number, hours in enumerate(moments):
        copies = tuple(
            copy_at(name, draw(st.sampled_from(STATES)), f"/{name}/{number}")
            for name in draw(st.sampled_from([("disk",), ("disk", "nas"), ("nas",)]))
        )
        one = with_copies(backup(number, START + timedelta(hours=hours), size=draw(st.integers(1, 500))), *copies)
        if draw(st.integers(0, 9)) == 0:
            one = msgspec.structs.replace(one, pin="kept")
        if draw(st.integers(0, 9)) == 0:
            until = START + timedelta(hours=draw(st.integers(0, 1000 * 24)))
            one = msgspec.structs.replace(one, purpose="safety", protected_until=until)
        backups.append(one)
    ids = [one.execution_id for one in backups]
    needs = {
        ids[number]: frozenset({ids[draw(st.integers(0, number - 1))]})
        for number in range(1, count)
        if draw(st.integers(0, 6)) == 0
    }
    asked = situation(
        backups,
        draw(RULES),
        now=START + timedelta(hours=draw(st.integers(0, 1000 * 24))),
        zone=draw(st.sampled_from([zoneinfo.ZoneInfo("UTC"), ZURICH])),
        storages=("disk", "nas"),
    )
    return Situation(
        now=asked.now,
        backups=backups,
        rules=asked.rules,
        room=draw(st.sampled_from([{}, {"disk": 700}])),
        proven=frozenset(draw(st.sets(st.sampled_from(ids), max_size=3))),
        needs=needs,
        failed_uploads=draw(st.sampled_from([frozenset(), frozenset({("job", "nas")})])),
    )


def whole_at(asked: Situation, storage: str) -> list[Backup]:
    """The backups that lie whole at a storage, without safety copies."""
    return [
        one
        for one in asked.backups
        if one.purpose == "backup" and any(c.storage == storage and c.status == "available" for c in one.copies)
    ]


def after(asked: Situation, plan: RetentionPlan) -> Situation:
    """The situation once the plan was carried out."""
    gone = {(one.execution_id, one.storage) for one in plan.removals}
    left = [
        with_copies(one, *(copy for copy in one.copies if (one.execution_id, copy.storage) not in gone))
        for one in asked.backups
    ]
    values = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    return Situation(**{**values, "backups": [one for one in left if one.copies]})


@settings(max_examples=150, deadline=None)
@given(histories())
def test_the_newest_good_backup_always_stays(asked: Situation) -> None:
    plan = decide(asked)
    gone = {(one.execution_id, one.storage) for one in plan.removals}
    orders: list[Callable[[Backup], object]] = [lambda one: (one.started_at, one.sequence), lambda one: one.sequence]
    for storage in ("disk", "nas"):
        here = whole_at(asked, storage)
        for order in orders:
            for chosen in (here, [one for one in here if one.execution_id in asked.proven]):
                if chosen:
                    newest = max(chosen, key=order)  # type: ignore[arg-type]  # both keys can be compared
                    assert (newest.execution_id, storage) not in gone


@settings(max_examples=150, deadline=None)
@given(histories())
def test_what_is_protected_stays_and_running_twice_removes_nothing_more(asked: Situation) -> None:
    plan = decide(asked)
    backups = {one.execution_id: one for one in asked.backups}
    gone = {(one.execution_id, one.storage) for one in plan.removals}
    for verdict in plan.removals:
        one = backups[verdict.execution_id]
        assert one.pin is None
        assert one.purpose == "backup" or (one.protected_until is not None and one.protected_until <= asked.now)
        assert all(copy.status in ("available", "missing") for copy in one.copies)
        assert one.purpose == "safety" or (one.job_id, verdict.storage) not in asked.failed_uploads
    for verdict in plan.kept:
        for needed in asked.needs.get(verdict.execution_id, ()):
            assert (needed, verdict.storage) not in gone
    assert decide(after(asked, plan)).removals == ()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 900 * 24), min_size=1, max_size=40, unique=True), RULES)
def test_what_a_rule_keeps_is_what_the_rule_says(hours: list[int], rules: RetentionSettings) -> None:
    backups = [backup(number, START + timedelta(hours=hour)) for number, hour in enumerate(sorted(hours))]
    plan = decide(situation(backups, rules))
    named = {rule: {one.execution_id for one in plan.verdicts if rule in one.kept_by} for rule in KEYS}
    for rule, key in KEYS.items():
        count: int | None = getattr(rules, f"keep_{rule}")
        newest = {key(one.started_at): one.execution_id for one in backups}
        wanted = set() if count is None else {newest[each] for each in sorted(newest)[-count:]}
        assert named[rule] == wanted, rule
    counted = any(getattr(rules, f"keep_{rule}") is not None for rule in KEYS)
    for one in plan.verdicts:
        if one.removed_by == "not_kept":
            assert counted
            assert not one.kept_by
        if one.stays and counted and not one.holds:
            assert one.kept_by


KEYS: dict[str, Callable[[datetime], tuple[object, ...]]] = {
    "last": lambda moment: (moment,),
    "hourly": lambda moment: (moment.date(), moment.hour),
    "daily": lambda moment: (moment.date(),),
    "weekly": lambda moment: tuple(moment.isocalendar())[:2],
    "monthly": lambda moment: (moment.year, moment.month),
    "yearly": lambda moment: (moment.year,),
}


@settings(max_examples=150, deadline=None)
@given(histories(), st.sampled_from(["e0", "e3", "e7"]))
def test_what_is_told_of_one_backup_is_what_is_told_of_it_among_all(asked: Situation, execution_id: str) -> None:
    # Half of the backups are of another job without rules, and of another datasource.
    backups = [
        msgspec.structs.replace(one, job_id="other", datasource="crm") if one.sequence % 2 else one
        for one in asked.backups
    ]
    values = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    situation = Situation(**{**values, "backups": backups})
    alone = decide(situation, only=execution_id)
    assert alone.verdicts == decide(situation).of(execution_id)


@settings(max_examples=400, deadline=None)
@given(histories(), st.data())
def test_what_is_decided_of_many_at_once_is_what_is_decided_of_each(asked: Situation, data: st.DataObject) -> None:
    def some(share: int) -> bool:
        return data.draw(st.integers(0, share)) == 0

    # Of several jobs, of which some have other rules or none, and of several datasources and kinds.
    jobs = ["job", "other", "third"]
    backups = []
    for one in asked.backups:
        job = data.draw(st.sampled_from(jobs))
        changes: dict[str, object] = {
            "job_id": job,
            "job": job,
            "datasource": data.draw(st.sampled_from(["shop", "crm"])),
        }
        if some(5):
            changes["backup_type"] = "schema_only"
        if some(8):
            changes["compressed_size_bytes"] = None
        if some(8):
            # What never arrived at the other storage.
            never = copy_at("tape", "missing", "")
            changes["where"] = where_text((*one.copies, never))
        backups.append(msgspec.structs.replace(one, **changes))
    ids = [one.execution_id for one in backups]
    rules = dict(asked.rules)
    expected = expected_by_history(one.started_at for one in backups)
    for job in jobs[1:]:
        for storage in ("disk", "nas"):
            if not some(2):
                rules[job, storage] = JobRules(data.draw(RULES), ZURICH, expected)
    picked = st.sets(st.sampled_from(ids), max_size=2)
    values = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    changes = {
        "backups": backups,
        "rules": rules,
        "in_use": frozenset(data.draw(picked)),
        "ways_back": dict.fromkeys(data.draw(picked), "a restore"),
        "failed_uploads": asked.failed_uploads | {("other", "disk")} if some(4) else asked.failed_uploads,
        "needs": {} if some(1) else asked.needs,
    }
    situation = Situation(**{**values, **changes})
    plan = decide(situation)
    wanted = plain_verdicts(situation)
    assert [verdict_of(one) for one in plan.verdicts] == [verdict_of(one) for one in wanted]
    going = sorted((one for one in wanted if not one.stays), key=lambda one: (one.taken_at, one.storage))
    assert [(one.taken_at, one.storage) for one in plan.removals] == [(one.taken_at, one.storage) for one in going]
    assert set(plan.removals) == {one for one in plan.verdicts if not one.stays}
    assert plan.kept == tuple(one for one in plan.verdicts if one.stays)
    assert plan.freed_bytes == sum(one.bytes for one in going)
    for summed in plan.going:
        named = [
            one
            for one in going
            if (one.job, one.storage, one.removed_by) == (summed.job, summed.storage, summed.removed_by)
        ]
        assert (summed.count, summed.bytes) == (len(named), sum(one.bytes for one in named))
        assert (summed.oldest, summed.newest) == (named[0].taken_at, named[-1].taken_at)
    assert sum(one.count for one in plan.going) == len(going)


def verdict_of(one: Verdict) -> dict[str, object]:
    """A verdict, whatever the order of the rules that keep it."""
    return {**msgspec.to_builtins(one), "kept_by": sorted(one.kept_by)}
