"""How often alerts come by themselves, outside of bursts: what is chronic, how long a pause is."""

from dataclasses import dataclass, field
from math import exp
from typing import Final

from services.incidents.correlator.settings import Settings

_HOUR_MS: Final = 3_600_000
_LEAST_HOURS: Final = 6.0
"""Before so much was seen, nothing is called chronic by a few firings."""


@dataclass(slots=True)
class Rate:
    """A count that fades."""

    count: float = 0.0
    at_ms: int = 0

    def faded(self, now_ms: int, memory_ms: int) -> float:
        """The count as it is worth now."""
        return self.count * exp(-max(0, now_ms - self.at_ms) / memory_ms)

    def add(self, now_ms: int, memory_ms: int, amount: float = 1.0) -> None:
        """Counts at `now_ms`."""
        self.count = self.faded(now_ms, memory_ms) + amount
        self.at_ms = max(self.at_ms, now_ms)


@dataclass(slots=True)
class Background:
    """What comes outside of bursts, by fingerprint and in all."""

    by_fingerprint: dict[str, Rate] = field(default_factory=dict)
    alerts: Rate = field(default_factory=Rate)
    quiet_ms: Rate = field(default_factory=Rate)
    since_ms: int = 0
    seen_ms: int = 0
    busy_until_ms: int = 0

    def pass_time(self, now_ms: int, memory_ms: int) -> None:
        """Counts the time outside of bursts up to `now_ms`."""
        self.since_ms = self.since_ms or now_ms
        quiet = now_ms - max(self.seen_ms or now_ms, self.busy_until_ms)
        if quiet > 0:
            self.quiet_ms.add(now_ms, memory_ms, quiet)
        self.seen_ms = max(self.seen_ms, now_ms)

    def is_chronic(self, fingerprint: str, now_ms: int, settings: Settings) -> bool:
        """Whether it fires by itself so often that it says nothing."""
        rate = self.by_fingerprint.get(fingerprint)
        if rate is None:
            return False
        seen_h = min(now_ms - self.since_ms, settings.memory_ms) / _HOUR_MS
        count = rate.faded(now_ms, settings.memory_ms)
        return count / max(seen_h, _LEAST_HOURS) > settings.chronic_per_hour

    def note(self, fingerprint: str, now_ms: int, memory_ms: int) -> None:
        """An alert came by itself."""
        self.by_fingerprint.setdefault(fingerprint, Rate()).add(now_ms, memory_ms)
        self.alerts.add(now_ms, memory_ms)

    def pause_ms(self, now_ms: int, settings: Settings) -> float:
        """The pause that ends a burst: shorter where much comes by chance."""
        quiet = self.quiet_ms.faded(now_ms, settings.memory_ms)
        quiet += settings.pause_max_ms / settings.pause_alerts
        by_chance = self.alerts.faded(now_ms, settings.memory_ms) + 1
        pause = settings.pause_alerts * quiet / by_chance
        return min(float(settings.pause_max_ms), max(float(settings.pause_min_ms), pause))
