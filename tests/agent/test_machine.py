"""The machine is read under usual names, in bounded labels, and tells no secret."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from services.agent.machine import Machine, Reading
from services.agent.machine.process_groups import KERNEL, OTHER, ProcessGroups

SECRET = "hunter2-is-no-label"


@contextmanager
def running(*arguments: str) -> Iterator[int]:
    child = subprocess.Popen([sys.executable, "-c", "input()", *arguments], stdin=subprocess.PIPE)
    try:
        yield child.pid
    finally:
        child.communicate()


def names(reading: Reading) -> set[str]:
    return {each.name for each in reading.values}


def test_reading_has_what_prometheus_users_know_each_series_once() -> None:
    machine = Machine()
    reading = machine.read()
    usual = {
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_memory_MemAvailable_bytes",
        "node_filesystem_avail_bytes",
        "node_network_receive_bytes_total",
        "node_load1",
        "node_boot_time_seconds",
        "namedprocess_namegroup_memory_bytes",
    }
    assert usual <= names(reading)
    series = Counter((each.name, each.labels) for each in reading.values)
    assert set(series.values()) == {1}
    cores = [each for each in reading.values if each.name == "node_cpu_core_utilization_ratio"]
    assert len(cores) == psutil.cpu_count()
    ratios = [each.value for each in reading.values if each.name.endswith("_ratio")]
    assert all(0 <= ratio <= 1 for ratio in ratios)
    (uptime,) = (each.value for each in reading.values if each.name == "node_uptime_seconds")
    assert abs(time.time() - psutil.boot_time() - uptime) < 60


def test_arguments_of_a_process_are_in_no_label() -> None:
    with running(f"--password={SECRET}") as pid:
        reading = Machine(top_processes=100).read()
        assert SECRET in " ".join(psutil.Process(pid).cmdline())
    texts = [text for each in reading.values for pair in each.labels for text in pair]
    assert not [text for text in texts if SECRET in text or text == str(pid)]
    groups = [text for each in reading.values for key, text in each.labels if key == "groupname"]
    assert max(map(len, groups)) <= 15


def test_groups_that_were_followed_once_go_on_with_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = ProcessGroups(2)
    procs = [fake(1, "a", rss=10), fake(3, "b", rss=5), fake(4, "c", rss=1)]
    monkeypatch.setattr(psutil, "process_iter", lambda: procs)
    assert by_group(groups)["namedprocess_namegroup_num_procs"] == {"a": 1, "b": 1}
    procs[:] = [fake(4, "c", rss=1), fake(5, "c", rss=2)]
    values = by_group(groups)
    assert values["namedprocess_namegroup_num_procs"] == {"a": 0, "b": 0, "c": 2}
    assert values["namedprocess_namegroup_memory_bytes"] == {"a": 0, "b": 0, "c": 3}


def test_a_newcomer_comes_with_what_it_used_before(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = ProcessGroups(1)
    procs = [fake(1, "a", rss=10), fake(3, "b", rss=5)]
    monkeypatch.setattr(psutil, "process_iter", lambda: procs)
    groups.values(1000)
    assert groups.earlier() == []
    procs[:] = [fake(1, "a", rss=10), fake(3, "b", rss=6)]
    groups.values(2000)
    assert groups.earlier() == []
    procs[:] = [fake(1, "a", rss=10), fake(3, "b", rss=20), fake(4, "c", rss=1)]
    groups.values(3000)
    past = [(at_ms, {each.name: each.value for each in found}) for at_ms, found in groups.earlier()]
    memory = "namedprocess_namegroup_memory_bytes"
    assert [(at_ms, values[memory]) for at_ms, values in past] == [(1000, 5), (2000, 6)]
    procs[:] = [fake(1, "a", rss=10), fake(5, "d", rss=30)]
    groups.values(4000)
    past = [(at_ms, {each.name: each.value for each in found}) for at_ms, found in groups.earlier()]
    number = "namedprocess_namegroup_num_procs"
    assert [(at_ms, values[number]) for at_ms, values in past] == [(1000, 0), (2000, 0), (3000, 0)]


def test_groups_are_bounded_now_and_over_a_life(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = ProcessGroups(5)
    ever: set[str] = set()
    for round_ in range(200):
        procs = [fake(10 + i, f"{round_}-{i}", rss=10 + i) for i in range(20)]
        monkeypatch.setattr(psutil, "process_iter", lambda procs=procs: procs)
        followed = by_group(groups)["namedprocess_namegroup_num_procs"]
        assert len(followed) <= 15
        ever |= followed.keys()
    assert OTHER in ever
    assert len(ever) <= 501


def test_rates_are_of_the_processes_that_were_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = ProcessGroups(5)
    now_s = time.monotonic()
    clock = iter([now_s, now_s + 10])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(psutil, "process_iter", lambda: [fake(3, "a", rss=1, cpu_s=100, io=1000)])
    assert by_group(groups)["namedprocess_namegroup_cpu_cores"] == {"a": 0}
    again = [fake(3, "a", rss=1, cpu_s=105, io=3000), fake(4, "a", rss=1, cpu_s=50, io=9)]
    monkeypatch.setattr(psutil, "process_iter", lambda: again)
    values = by_group(groups)
    assert values["namedprocess_namegroup_cpu_cores"] == {"a": 0.5}
    assert values["namedprocess_namegroup_io_bytes_per_second"] == {"a": 200}


def test_threads_of_the_kernel_are_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = [fake(9, "kworker/0:1", vms=0, ppid=2), fake(11, "kworker/1:0", vms=0, ppid=2)]
    monkeypatch.setattr(psutil, "process_iter", lambda: threads)
    groups = ProcessGroups(5)
    threads[0].cpu_times = lambda: SimpleNamespace(user=1.0, system=1.0)
    assert by_group(groups)["namedprocess_namegroup_num_procs"] == {KERNEL: 2}


@pytest.mark.skipif(not psutil.LINUX, reason="there is no /proc")
def test_proc_of_the_host_is_read_where_it_is_mounted() -> None:
    """Another path to the same files stands for a mount of the host's."""
    try:
        mounted = Machine(procfs=Path("/proc/self/root/proc"))
        reading = mounted.read()
    finally:
        psutil.PROCFS_PATH = "/proc"
    assert {"node_cpu_seconds_total", "node_network_receive_bytes_total"} <= names(reading)
    assert not [name for name in names(reading) if name.startswith("node_filesystem")]
    assert "namedprocess_namegroup_num_procs" in names(reading)


def by_group(groups: ProcessGroups) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for each in groups.values(now_ms=0):
        found.setdefault(each.name, {})[dict(each.labels)["groupname"]] = each.value
    return found


def fake(
    pid: int,
    name: str,
    *,
    rss: int = 0,
    vms: int = 1,
    ppid: int = 1,
    cpu_s: float = 0.0,
    io: int = 0,
) -> SimpleNamespace:
    return SimpleNamespace(
        pid=pid,
        oneshot=nullcontext,
        name=lambda: name,
        ppid=lambda: ppid,
        create_time=lambda: 1.0,
        memory_info=lambda: SimpleNamespace(rss=rss, vms=vms),
        cpu_times=lambda: SimpleNamespace(user=cpu_s, system=0.0),
        io_counters=lambda: SimpleNamespace(read_bytes=io, write_bytes=0),
    )
