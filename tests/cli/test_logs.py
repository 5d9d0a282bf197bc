"""Logs stay within their limits while processes write to them, and lose nothing."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.processes.logs import LogLimits, LogRotation, log_tail, open_log, rotate

KIB = 1024
COUNT = "import sys\nfor n in range(int(sys.argv[1])): print(f'line {n:08d}', flush=True)"


def parts(log_file: Path) -> list[Path]:
    """All that is left of a log, oldest first."""
    found = sorted(log_file.parent.glob(f"{log_file.name}.*"), reverse=True)
    return [*found, log_file]


async def test_no_line_is_lost_while_a_process_writes(tmp_path: Path) -> None:
    log_file = tmp_path / "busy.log"
    limits = LogLimits(size_bytes=64 * KIB, kept=1000)
    rotating = asyncio.create_task(LogRotation(tmp_path, limits, look_every_s=0.001).run())
    with open_log(log_file) as log:
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COUNT, "100000"), stdout=log
        )
        assert await writer.wait() == 0
    rotating.cancel()
    await asyncio.gather(rotating, return_exceptions=True)
    assert len(parts(log_file)) > 3
    ordered = sorted(parts(log_file), key=_age, reverse=True)
    lines = b"".join(part.read_bytes() for part in ordered).splitlines()
    assert lines == [f"line {n:08d}".encode() for n in range(100_000)]


def _age(part: Path) -> int:
    return 0 if part.suffix == ".log" else int(part.suffix[1:])


async def test_a_stranger_cannot_fill_the_disk(tmp_path: Path) -> None:
    """However much is written, a bounded number of parts is kept."""
    log_file = tmp_path / "flood.log"
    rotation = LogRotation(tmp_path, LogLimits(size_bytes=64 * KIB, kept=3))
    with open_log(log_file) as log:
        for _ in range(50):
            log.write(os.urandom(100 * KIB))
            log.flush()
            rotation.look()
    assert len(parts(log_file)) == 4
    assert sum(part.stat().st_size for part in parts(log_file)) < 4 * 110 * KIB


async def test_an_old_log_is_cut_however_small_it_is(tmp_path: Path) -> None:
    log_file = tmp_path / "quiet.log"
    log_file.write_text("of yesterday\n")
    part = tmp_path / "quiet.log.1"
    part.write_text("of the day before\n")
    yesterday_s = time.time() - 25 * 3600
    os.utime(part, (yesterday_s, yesterday_s))
    rotation = LogRotation(tmp_path, LogLimits())
    rotation.look()
    rotation.look()
    assert part.read_text() == "of yesterday\n"
    assert (tmp_path / "quiet.log.2").read_text() == "of the day before\n"
    assert log_file.read_text() == ""
    assert not (tmp_path / "quiet.log.3").exists()


async def test_the_last_lines_are_told_across_a_cut(tmp_path: Path) -> None:
    log_file = tmp_path / "cut.log"
    log_file.write_text("".join(f"{n}\n" for n in range(20)))
    rotate(log_file, kept=2)
    with open_log(log_file) as log:
        log.write(b"20\n")
    assert log_tail(log_file, lines=4).split() == ["17", "18", "19", "20"]
    assert log_tail(tmp_path / "never-written.log") == ""


async def test_a_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    log_file = tmp_path / "private.log"
    log_file.write_text("secret\n")
    rotate(log_file, kept=1)
    assert (tmp_path / "private.log.1").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
def test_a_full_disk_is_not_kept_full(tmp_path: Path) -> None:
    """On tmpfs, where the front of a file cannot be dropped and no copy finds room."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path]
    mounted = subprocess.run(mount, check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        log_file = tmp_path / "full.log"
        with log_file.open("wb") as log:
            log.write(bytes(900 * KIB))
        LogRotation(tmp_path, LogLimits(size_bytes=64 * KIB)).look()
        assert sum(part.stat().st_size for part in parts(log_file)) == 0
    finally:
        subprocess.run(["umount", tmp_path], check=True)
