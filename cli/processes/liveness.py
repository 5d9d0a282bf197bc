"""Does a process that lives still serve? Tells a dead one from a slow one."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path

import psutil

from cli.processes.child import PROBE_TIMEOUT_S, SILENT, Answer, Probe, SilenceLimits, State

_BUSY_CORE_SHARE = 0.1
_LATE_S = 0.3
_STOPPED_AFTER_S = 2.0


async def ask(probe: Probe) -> Answer:
    """One probe, which neither lasts longer than its time nor fails."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await probe()
    except TimeoutError:
        return SILENT
    except Exception as error:  # a fault of ours, such as too many open files, is not the child's
        return Answer(alive=True, ready=False, detail=f"it cannot be probed: {error!r}")


class Activity(Enum):
    """What a process does while it is silent."""

    STOPPED = "stopped"
    IDLE = "idle"
    BUSY = "busy"


class Watch:
    """Probes one process and judges its silence.

    Silence is counted in probes that failed, and a probe during which this process was late itself
    counts for nothing: on a busy machine, or after a suspend, everything looks dead at once.
    """

    def __init__(
        self, probe: Probe, pid: int, patience: SilenceLimits, tell: Callable[[State, str], None]
    ) -> None:
        """`tell` hears of SLOW, UNREADY and, when one of them is over, READY.

        Raises:
            psutil.NoSuchProcess: There is no process `pid`.
        """
        self._probe = probe
        self._process = psutil.Process(pid)
        self._patience = patience
        self._tell = tell
        self._reported = State.READY
        self._silent_s = 0.0
        self._unready_s = 0.0
        self._activity = Activity.IDLE
        self._answered_s, self._occupied_s = time.monotonic(), occupied_s(self._process)

    async def until_dead(self) -> str:
        """Returns, with the reason, once the process has been silent for too long."""
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(self._patience.every_s)
            asked_s = time.monotonic()
            answer = await ask(self._probe)
            took_s = time.monotonic() - asked_s
            if answer.alive:
                self._hear(answer, self._patience.every_s + took_s)
            elif (
                max(asked_s - began_s - self._patience.every_s, took_s - PROBE_TIMEOUT_S) < _LATE_S
            ):
                self._silent_s += self._patience.every_s + took_s
                self._activity = self._measure()
                if self._silent_s >= self._limit_s():
                    return f"no answer for {self._silent_s:.0f} s, {self._activity.value}"
                self._note_slow()

    def _hear(self, answer: Answer, passed_s: float) -> None:
        self._silent_s = 0.0
        self._answered_s, self._occupied_s = time.monotonic(), occupied_s(self._process)
        self._unready_s = 0.0 if answer.ready else self._unready_s + passed_s
        if answer.ready:
            self._note(State.READY, "")
        elif self._unready_s >= self._patience.unready_s:
            self._note(State.UNREADY, answer.detail)

    def _note_slow(self) -> None:
        if self._silent_s >= self._patience.idle_s:
            limit_s = self._patience.busy_s
            self._note(
                State.SLOW, f"no answer for {self._silent_s:.0f} s, busy; it has {limit_s:g} s"
            )

    def _note(self, state: State, detail: str) -> None:
        if state is not self._reported:
            self._reported = state
            self._tell(state, detail)

    def _limit_s(self) -> float:
        if self._activity is Activity.STOPPED:
            return min(_STOPPED_AFTER_S, self._patience.idle_s)
        return self._patience.busy_s if self._activity is Activity.BUSY else self._patience.idle_s

    def _measure(self) -> Activity:
        """Over the whole silence: what it did since the last answer, and the state now."""
        try:
            status = self._process.status()
        except psutil.NoSuchProcess:
            return Activity.IDLE
        if status == psutil.STATUS_STOPPED:
            return Activity.STOPPED
        share = (occupied_s(self._process) - self._occupied_s) / max(
            time.monotonic() - self._answered_s, 1e-3
        )
        waits_for_disk = status == psutil.STATUS_DISK_SLEEP
        return Activity.BUSY if share > _BUSY_CORE_SHARE or waits_for_disk else Activity.IDLE


def occupied_s(process: psutil.Process) -> float:
    """Seconds for which it computed, or its first thread waited for a processor (on Linux).

    Who gets no processor on a busy machine is not idle.
    """
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    waited_s = 0.0
    with suppress(OSError, IndexError, ValueError):
        waited_s = int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
    return float(times.user + times.system) + waited_s
