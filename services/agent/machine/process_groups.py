"""Processes by name: those that use most CPU, memory and I/O, and those that did.

A label holds at most the fifteen characters that the kernel keeps of a program's name: no process
id, no argument, no secret. Processes of one name are one group; threads of the kernel are one.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import psutil

from services.agent.machine.value import Value, clean

KERNEL: Final = "[kernel]"
OTHER: Final = "[other]"

_NAME_CHARACTERS: Final = 15
_NAMES_EVER: Final = 500
_KEPT_PER_TOP: Final = 3
_KTHREADD: Final = 2
_PAST: Final = 40
"""Readings that are remembered: ten minutes at the usual interval."""


@dataclass(slots=True)
class Usage:
    """What the processes of one name use: number, cores, resident bytes, bytes/s of I/O."""

    processes: int = 0
    cpu: float = 0.0
    memory: float = 0.0
    io: float = 0.0


class ProcessGroups:
    """Follows the groups that were among the first once, so that their series do not come and go.

    At most three times `top` are followed: for a newcomer the one goes that was among the first the
    longest ago. In its life an agent gives at most 500 names; further ones are `[other]`. All
    processes are read each time, so what a newcomer used before it was followed is known: a fault
    that begins with a process shows as a rise, not as a series without a past.
    """

    def __init__(self, top: int) -> None:
        """Takes what the first rates are measured from."""
        self._top = top
        self._followed: dict[str, None] = {}
        self._names: set[str] = set()
        self._newcomers: list[str] = []
        self._past: deque[tuple[int, dict[str, Usage]]] = deque(maxlen=_PAST)
        self._before: dict[tuple[int, float], tuple[float, float]] = {}
        self._read_at_s = time.monotonic()
        self._read()

    def values(self, now_ms: int) -> list[Value]:
        """Four values of each group that is followed; zeros of one that has ended."""
        usage = self._bounded(self._read())
        before = set(self._followed)
        self._follow(usage)
        self._newcomers = [name for name in self._followed if name not in before]
        self._past.append((now_ms, usage))
        return _values_of(self._followed, usage)

    def earlier(self) -> list[tuple[int, list[Value]]]:
        """What those that the last reading was the first to follow used before it, oldest first."""
        if not self._newcomers:
            return []
        *past, _ = self._past
        return [(at_ms, _values_of(self._newcomers, usage)) for at_ms, usage in past]

    def _follow(self, usage: Mapping[str, Usage]) -> None:
        for key in ("io", "memory", "cpu"):
            first = sorted(usage, key=lambda name: -getattr(usage[name], key))[: self._top]
            for name in reversed([name for name in first if getattr(usage[name], key) > 0]):
                self._followed.pop(name, None)
                self._followed[name] = None
        while len(self._followed) > _KEPT_PER_TOP * self._top:
            del self._followed[next(iter(self._followed))]

    def _bounded(self, usage: dict[str, Usage]) -> dict[str, Usage]:
        found: dict[str, Usage] = {}
        for name, group in usage.items():
            known = name in self._names or len(self._names) < _NAMES_EVER
            if known:
                self._names.add(name)
            into = found.setdefault(name if known else OTHER, Usage())
            into.processes += group.processes
            into.cpu += group.cpu
            into.memory += group.memory
            into.io += group.io
        return found

    def _read(self) -> dict[str, Usage]:
        now_s = time.monotonic()
        passed_s = max(now_s - self._read_at_s, 1e-3)
        self._read_at_s = now_s
        usage: dict[str, Usage] = {}
        seen: dict[tuple[int, float], tuple[float, float]] = {}
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    memory = process.memory_info()
                    name = _name(process, has_memory=memory.vms > 0)
                    times = process.cpu_times()
                    key = (process.pid, process.create_time())
            except psutil.Error:
                continue  # it has ended
            totals = float(times.user + times.system), _io_bytes(process)
            seen[key] = totals
            cpu_s, io = self._before.get(key, totals)
            group = usage.setdefault(name, Usage())
            group.processes += 1
            group.memory += memory.rss
            group.cpu += max(0.0, totals[0] - cpu_s) / passed_s
            group.io += max(0.0, totals[1] - io) / passed_s
        self._before = seen
        return usage


def _values_of(names: Iterable[str], usage: Mapping[str, Usage]) -> list[Value]:
    return [value for name in names for value in _values(name, usage.get(name, Usage()))]


def _values(name: str, group: Usage) -> Iterator[Value]:
    prefix = "namedprocess_namegroup"
    yield Value.of(f"{prefix}_num_procs", group.processes, groupname=name)
    yield Value.of(f"{prefix}_cpu_cores", group.cpu, groupname=name)
    yield Value.of(f"{prefix}_memory_bytes", group.memory, groupname=name, memtype="resident")
    yield Value.of(f"{prefix}_io_bytes_per_second", group.io, groupname=name)


def _name(process: psutil.Process, *, has_memory: bool) -> str:
    if not has_memory and _KTHREADD in (process.pid, process.ppid()):
        return KERNEL
    # where the kernel has cut a name psutil puts the program's first argument: cut that again
    return clean(process.name(), _NAME_CHARACTERS) or OTHER


def _io_bytes(process: psutil.Process) -> float:
    """Read from and written to disks; 0 where that is not ours to know."""
    try:
        io = process.io_counters()
    except (psutil.Error, NotImplementedError, AttributeError):
        return 0.0
    return float(io.read_bytes + io.write_bytes)
