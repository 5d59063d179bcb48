"""What the end of its last run makes of a job's state: it counts from that very moment, not from the next check on."""

import msgspec

from dgtui.engine.health_model import HealthState, HealthStatus, worst
from dgtui.engine.model import Execution

_MEANS: dict[str, HealthStatus] = {"failed": "critical", "interrupted": "critical", "partial": "warning"}


def with_last_run(state: HealthState, run: Execution | None) -> HealthState:
    """The state of a job whose newest run that has ended was this one."""
    status = _MEANS.get(run.status) if run is not None else None
    if run is None or status is None:
        return state
    problem = run.problem
    told = f"The last run ended {run.status}" + (f": {problem.message}" if problem is not None else "")
    return msgspec.structs.replace(
        state,
        status=worst([state.status, status]),
        message="; ".join(filter(None, (state.message, told))),
        hint=state.hint or (problem.hint if problem is not None else ""),
    )
