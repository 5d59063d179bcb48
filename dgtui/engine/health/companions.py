"""Datasources of one server: once one is lost or back, the others are asked at once, so that people hear of it once."""

from collections.abc import Iterable

from dgtui.config import Config
from dgtui.engine.causes import server_of
from dgtui.engine.health.judging import CRITICAL_FAILURES
from dgtui.engine.health_model import HealthState, Watched


class Companions:
    """Who is asked without waiting for its own moment: until it answers or is lost too, or once whether it is back."""

    def __init__(self, states: Iterable[HealthState]) -> None:
        """`states` is how things stand so far."""
        self._failures = {state.subject: state.failures for state in states if state.failures}
        self._hurried: set[Watched] = set()

    @property
    def outstanding(self) -> bool:
        """Whether some of a server that was just lost, or is back, have not said yet how they are."""
        return bool(self._hurried)

    def has_failed(self, subject: Watched) -> bool:
        """Whether something did not answer when it was asked last."""
        return subject in self._failures

    def forget(self, subjects: Iterable[Watched]) -> None:
        """Wait no more for what is not watched any more."""
        for subject in subjects:
            self._failures.pop(subject, None)
            self._hurried.discard(subject)

    def answered(self, config: Config, states: Iterable[HealthState]) -> list[Watched]:
        """Note how things stand now; what is to be asked at once because of it."""
        lost, back, again = list[Watched](), list[Watched](), list[Watched]()
        for state in states:
            subject, former = state.subject, self._failures.pop(state.subject, 0)
            if state.failures:
                self._failures[subject] = state.failures
            if subject not in self._hurried:
                if state.failures == CRITICAL_FAILURES:
                    lost.append(subject)
                elif former >= CRITICAL_FAILURES and not state.failures:
                    back.append(subject)
            elif 0 < state.failures < CRITICAL_FAILURES:
                again.append(subject)
            else:
                self._hurried.discard(subject)
        others = [one for one in _at_the_servers_of(config, lost) if not self._is_lost(one)]
        others += [one for one in _at_the_servers_of(config, back) if self._is_lost(one)]
        asked = [one for one in others if one not in self._hurried]
        self._hurried.update(asked)
        return [*again, *asked]

    def _is_lost(self, subject: Watched) -> bool:
        return self._failures.get(subject, 0) >= CRITICAL_FAILURES


def _at_the_servers_of(config: Config, subjects: Iterable[Watched]) -> list[Watched]:
    servers = {server_of(config, one.name) for one in subjects if one.kind == "datasource"} - {""}
    if not servers:
        return []
    return [
        Watched(kind="datasource", name=name)
        for name, settings in config.datasources.items()
        if settings.enabled and server_of(config, name) in servers
    ]
