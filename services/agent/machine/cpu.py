"""CPU time by core and mode, and how busy the cores were."""

from collections.abc import Iterator
from typing import Any, Final

import psutil

from services.agent.machine.value import Value

_MODES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_IDLE: Final = frozenset({"idle", "iowait"})


class Cpu:
    """The share of time that was not idle, from 0 to 1, as last read.

    Attributes:
        busy: Of all cores.
        busy_cores: Of each.
    """

    def __init__(self) -> None:
        """Takes what the first shares are measured from."""
        self.busy = 0.0
        self.busy_cores: list[float] = []
        self._before = [_times(core) for core in psutil.cpu_times(percpu=True)]

    def values(self) -> Iterator[Value]:
        """Counters of each core and mode, the shares, and what the kernel has done."""
        cores = [_times(core) for core in psutil.cpu_times(percpu=True)]
        before = self._before if len(self._before) == len(cores) else cores
        spent = [_spent(now, then) for now, then in zip(cores, before, strict=True)]
        self._before = cores
        self.busy_cores = [_share(*each) for each in spent]
        self.busy = _share(sum(busy for busy, _ in spent), sum(whole for _, whole in spent))
        for core, times in enumerate(cores):
            for mode, seconds in times.items():
                yield Value.of("node_cpu_seconds_total", seconds, cpu=str(core), mode=mode)
        for core, share in enumerate(self.busy_cores):
            yield Value.of("node_cpu_core_utilization_ratio", share, cpu=str(core))
        yield Value.of("node_cpu_utilization_ratio", self.busy)
        stats = psutil.cpu_stats()
        yield Value.of("node_context_switches_total", stats.ctx_switches)
        yield Value.of("node_intr_total", stats.interrupts)


def _times(core: Any) -> dict[str, float]:
    """Seconds by mode; guests are in `user` already."""
    return {mode: float(getattr(core, mode)) for mode in _MODES if hasattr(core, mode)}


def _spent(now: dict[str, float], then: dict[str, float]) -> tuple[float, float]:
    """Busy and all seconds since then; idle time can step back by a tick."""
    grown = {mode: max(0.0, now[mode] - then.get(mode, 0.0)) for mode in now}
    return sum(s for mode, s in grown.items() if mode not in _IDLE), sum(grown.values())


def _share(busy_s: float, whole_s: float) -> float:
    return busy_s / whole_s if whole_s > 0 else 0.0
