"""This machine's own metrics as the agent reads them, and the CPU of some processes by name."""

import socket
from collections.abc import Iterable, Iterator, Mapping

import psutil

from sensus_client import Sample
from services.agent.machine import Machine as WholeMachine

BURNER = "cpu-burner"
"""Value of the label `service` for the processes that make the load."""


class Machine:
    """Reads the same series each time."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        """`processes`: pid by service name, whose CPU is shown one by one."""
        self._machine = WholeMachine(top_processes=0)
        self._labels = (("instance", socket.gethostname()), ("job", "node"))
        self._watched = {name: [psutil.Process(pid)] for name, pid in processes.items()}
        self._watched[BURNER] = []

    @property
    def cpu_percent(self) -> float:
        """Of all cores, as last read."""
        return 100 * self._machine.cpu.busy

    def watch(self, pids: Iterable[int]) -> None:
        """Counts these processes as the burner from now on."""
        self._watched[BURNER] = [psutil.Process(pid) for pid in pids]
        for process in self._watched[BURNER]:
            _cpu_percent(process)

    def read(self) -> list[Sample]:
        """One sample of every series, all of the same time."""
        reading = self._machine.read()
        values = [(each.name, each.labels, each.value) for each in reading.values]
        return [
            Sample(
                tuple(sorted((("__name__", name), *labels, *self._labels))),
                reading.timestamp_ms,
                value,
            )
            for name, labels, value in (*values, *self._processes())
        ]

    def _processes(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        for name, processes in self._watched.items():
            percent = sum(_cpu_percent(process) for process in processes)
            yield "process_cpu_percent", (("service", name),), percent


def _cpu_percent(process: psutil.Process) -> float:
    try:
        return float(process.cpu_percent())
    except psutil.NoSuchProcess:
        return 0.0
