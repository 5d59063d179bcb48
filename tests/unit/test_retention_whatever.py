"""Retention: what holds of every history and all rules, tried with many."""

import zoneinfo
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dgtui.engine.model import Backup, CopyStatus, where_text
from dgtui.engine.retention import JobRules, RetentionPlan, Situation, Verdict, decide, expected_by_history
from dgtui.engine.retention_settings import RetentionSettings
from dgtui.engine.settings import ByteSize, Duration
from tests.support.plain_retention import plain_verdicts
from tests.support.retention_histories import (
    START,
    ZURICH,
    backup,
    copy_at,
    situation,
    with_copies,
)

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
