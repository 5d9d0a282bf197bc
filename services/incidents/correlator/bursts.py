"""A burst: alerts of one environment that come together, in step, or at the same services."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from services.incidents.correlator.settings import Settings
from services.incidents.model.change import Change

Graph = Mapping[str, Collection[str]]
"""Services by name with those that they call or that call them."""

_REMEMBERED: Final = 8


class Fit(IntEnum):
    """How well an alert fits a burst, worst first."""

    SAME_SERVICE = 1
    SAME_ALERT = 2
    STEP_OF_ONE = 3
    IN_STEP = 4
    WITH_ONE = 5
    TOGETHER = 6
    RELATED = 7


@dataclass(slots=True)
class Burst:
    """The newest times are those of alerts that carry it on; `size` counts these.

    `fresh` are services (True) and fingerprints (False) that are not kept yet; None: all are.
    """

    incident_id: str
    environment: str
    first_ms: int
    last_ms: int
    size: int = 1
    times: list[int] = field(default_factory=list)
    newest_ms: int = 0
    services: set[str] = field(default_factory=set)
    fingerprints: set[str] = field(default_factory=set)
    fresh: list[tuple[bool, str]] | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether more than one alert speaks for it."""
        return self.size > 1

    def is_related(self, service: str, graph: Graph) -> bool:
        """Whether the service is in it, or one call away from it."""
        return service in self.services or not self.services.isdisjoint(graph.get(service, ()))

    def fit(
        self, change: Change, graph: Graph, pause_ms: float, settings: Settings, *, company: bool
    ) -> Fit | None:
        """How well a change fits; `company` when it came together with one that fits none."""
        is_related = self.is_related(change.service, graph)
        late_ms = change.start_ms - self.last_ms
        wait_ms = pause_ms + (settings.related_ms if is_related and self.is_confirmed else 0)
        is_old = change.start_ms - self.first_ms > settings.bounded_ms
        if late_ms > wait_ms or (is_old and not is_related):
            return None
        if abs(change.start_ms - self.newest_ms) <= settings.together_ms:
            return self._together(is_related) if self.is_confirmed else Fit.WITH_ONE
        if company and self.is_confirmed:
            return self._together(is_related)
        if self._is_in_step(change.start_ms, settings):
            return Fit.IN_STEP if self.is_confirmed else Fit.STEP_OF_ONE
        if self.is_confirmed and change.fingerprint in self.fingerprints:
            return Fit.SAME_ALERT
        return Fit.SAME_SERVICE if self.is_confirmed and change.service in self.services else None

    def take(self, change: Change, fit: Fit | None, *, carries_on: bool) -> None:
        """Adds a change that fits, or the first."""
        self.newest_ms = max(self.newest_ms, change.start_ms)
        self._mark(self.services, change.service, is_service=True)
        self._mark(self.fingerprints, change.fingerprint, is_service=False)
        if fit is not None and fit < Fit.STEP_OF_ONE:
            return
        if carries_on:
            self.size += fit is not None
            self.last_ms = max(self.last_ms, change.start_ms)
            self.times = [*self.times, change.start_ms][-_REMEMBERED:]

    def _mark(self, known: set[str], mark: str, *, is_service: bool) -> None:
        if mark not in known:
            known.add(mark)
            if self.fresh is not None:
                self.fresh.append((is_service, mark))

    def _together(self, is_related: bool) -> Fit:
        return Fit.RELATED if is_related else Fit.TOGETHER

    def _is_in_step(self, time_ms: int, settings: Settings) -> bool:
        if not settings.cycle_ms:
            return False
        half = settings.cycle_ms // 2
        return any(
            abs((time_ms - each + half) % settings.cycle_ms - half) <= settings.in_step_ms
            for each in self.times
        )
