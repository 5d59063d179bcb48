"""Retention: which backups stay and which go, decided without touching anything.

How the rules work, for every storage by itself:

- The backups of a job that lie whole at a storage are counted there; the `keep_...` rules together keep what any of
  them keeps: `keep_last` the newest ones, each of the others the newest backup of each of the newest hours, days,
  weeks (of ISO), months or years that have one, in the job's time zone. A day without a backup takes no place.
- `max_age` and `max_total_size` are limits: what is beyond them goes although a rule would keep it.
- A storage's `retention` stands, rule by rule, in the place of the job's own there; its `max_total_size` is the room
  for all jobs together. A job that is not configured any more has no rules: its backups are only deleted by hand.
- What is protected stays whatever the rules say (`Hold`). A copy at another storage that is in doubt protects: one that
  cannot be asked for now, and a damaged one until somebody has deleted it. One that is missing there is in no doubt.
- The order of backups is both that of their times and that of the catalogue: where a clock was set back they differ,
  and what either of them keeps is kept.
"""

from dgtui.engine.retention.expiry import NextBackup, expected_by_history
from dgtui.engine.retention.plan import Going, RetentionPlan, decide
from dgtui.engine.retention.situation import JobRules, Situation
from dgtui.engine.retention.verdicts import Hold, Rule, Verdict

__all__ = [
    "Going",
    "Hold",
    "JobRules",
    "NextBackup",
    "RetentionPlan",
    "Rule",
    "Situation",
    "Verdict",
    "decide",
    "expected_by_history",
]
