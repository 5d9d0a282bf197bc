"""File systems, and what disks have read and written."""

import os
import re
from collections.abc import Iterator
from typing import Final

import psutil

from services.agent.machine.value import Value

_MOST: Final = 64
_LEFT_OUT: Final = re.compile(r"(z?ram|loop|fd|(h|s|v|xv)d[a-z]+|nvme\d+n\d+p|mmcblk\d+p)\d+")
"""Partitions, whose disk is told, and what is no disk."""


def filesystems() -> Iterator[Value]:
    """Bytes and inodes of each local file system, once where it is mounted several times."""
    for device, mountpoint, fstype in _mounts():
        try:
            stat = os.statvfs(mountpoint)
        except OSError:
            continue  # gone, or closed to us
        labels = {"device": device, "mountpoint": mountpoint, "fstype": fstype}
        used = stat.f_blocks - stat.f_bfree
        size, free = stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
        yield Value.of("node_filesystem_size_bytes", size, **labels)
        yield Value.of("node_filesystem_avail_bytes", free, **labels)
        share = used / max(used + stat.f_bavail, 1)
        yield Value.of("node_filesystem_utilization_ratio", share, **labels)
        if stat.f_files:
            yield Value.of("node_filesystem_files", stat.f_files, **labels)
            yield Value.of("node_filesystem_files_free", stat.f_ffree, **labels)


def disk_counters() -> Iterator[Value]:
    """Counters of whole disks since the boot."""
    disks = psutil.disk_io_counters(perdisk=True) or {}
    whole = [name for name in disks if not _LEFT_OUT.fullmatch(name)]
    for name in sorted(whole)[:_MOST]:
        io = disks[name]
        yield Value.of("node_disk_read_bytes_total", io.read_bytes, device=name)
        yield Value.of("node_disk_written_bytes_total", io.write_bytes, device=name)
        yield Value.of("node_disk_reads_completed_total", io.read_count, device=name)
        yield Value.of("node_disk_writes_completed_total", io.write_count, device=name)
        if hasattr(io, "busy_time"):
            yield Value.of("node_disk_io_time_seconds_total", io.busy_time / 1000, device=name)


def _mounts() -> list[tuple[str, str, str]]:
    """Device, place and type; the root also where it is none of a disk, as in a container."""
    found: dict[str, tuple[str, str, str]] = {}
    roots = [each for each in psutil.disk_partitions(all=True) if each.mountpoint == "/"][:1]
    for each in [*roots, *psutil.disk_partitions(all=False)]:
        known = found.get(each.device)
        if known is None or len(each.mountpoint) < len(known[1]):
            found[each.device] = (each.device, each.mountpoint, each.fstype)
    return sorted(found.values())[:_MOST]
