"""This machine's own metrics, read with psutil."""

import socket
import time
from collections.abc import Iterable, Iterator, Mapping

import psutil

from cli.samples import Sample

Reading = tuple[dict[str, str], float]

BURNER = "cpu-burner"
"""Value of the label `service` for the processes that make the load."""


class Machine:
    """Reads the same series each time; rates are per second since the reading before.

    Attributes:
        cpu_percent: of all cores, as last read.
    """

    def __init__(self, processes: Mapping[str, int]) -> None:
        """`processes`: pid by service name, whose CPU is told one by one."""
        self.cpu_percent = 0.0
        self._host = socket.gethostname()
        self._watched = {name: [psutil.Process(pid)] for name, pid in processes.items()}
        self._watched[BURNER] = []
        self._counts: dict[str, float] = {}
        self._read_at_s = time.monotonic()
        self.read()

    def watch(self, pids: Iterable[int]) -> None:
        """Counts these processes as the burner from now on."""
        self._watched[BURNER] = [psutil.Process(pid) for pid in pids]
        for process in self._watched[BURNER]:
            _cpu_percent(process)

    def read(self) -> list[Sample]:
        """One sample of every series, all of the same time."""
        now_ms = time.time_ns() // 1_000_000
        passed_s = max(time.monotonic() - self._read_at_s, 1e-3)
        self._read_at_s = time.monotonic()
        readings = [*self._gauges(), *self._processes(), *self._rates(passed_s)]
        return [self._sample(labels, value, now_ms) for labels, value in readings]

    def _sample(self, labels: dict[str, str], value: float, now_ms: int) -> Sample:
        pairs = tuple(sorted({**labels, "host": self._host}.items()))
        return Sample(place=labels["__name__"], labels=pairs, timestamp_ms=now_ms, value=value)

    def _gauges(self) -> Iterator[Reading]:
        cores = psutil.cpu_percent(percpu=True)
        self.cpu_percent = sum(cores) / len(cores)
        yield {"__name__": "cpu_percent"}, self.cpu_percent
        for core, percent in enumerate(cores):
            yield {"__name__": "cpu_core_percent", "core": str(core)}, percent
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        yield {"__name__": "memory_percent"}, memory.percent
        yield {"__name__": "memory_available_bytes"}, float(memory.available)
        yield {"__name__": "swap_percent"}, swap.percent
        yield {"__name__": "disk_percent", "mount": "/"}, psutil.disk_usage("/").percent
        for minutes, load in zip((1, 5, 15), psutil.getloadavg(), strict=True):
            yield {"__name__": f"load{minutes}"}, load
        yield {"__name__": "processes"}, float(len(psutil.pids()))

    def _processes(self) -> Iterator[Reading]:
        for name, processes in self._watched.items():
            percent = sum(_cpu_percent(process) for process in processes)
            yield {"__name__": "process_cpu_percent", "service": name}, percent

    def _rates(self, passed_s: float) -> Iterator[Reading]:
        for (name, *labels), total in _counters():
            key = " ".join([name, *labels])
            before = self._counts.get(key, total)
            self._counts[key] = total
            own = {"interface": labels[0]} if labels else {}
            yield {"__name__": f"{name}_per_second", **own}, max(total - before, 0.0) / passed_s


def _counters() -> Iterator[tuple[tuple[str, ...], float]]:
    stats = psutil.cpu_stats()
    yield ("context_switches",), stats.ctx_switches
    yield ("interrupts",), stats.interrupts
    if disk := psutil.disk_io_counters():
        yield ("disk_read_bytes",), disk.read_bytes
        yield ("disk_write_bytes",), disk.write_bytes
    for interface, io in psutil.net_io_counters(pernic=True).items():
        yield ("network_receive_bytes", interface), io.bytes_recv
        yield ("network_transmit_bytes", interface), io.bytes_sent


def _cpu_percent(process: psutil.Process) -> float:
    try:
        return float(process.cpu_percent())
    except psutil.NoSuchProcess:
        return 0.0
