"""A database whose disk is full answers, but cannot store: that is seen and named."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.embedded.postgres import EmbeddedPostgres
from mesh.clock import SystemClock
from mesh.errors import Unavailable
from mesh.postgres import Storage, guard, open_pool, ping

_SMALL = {"min_wal_size": "32MB", "max_wal_size": "48MB", "shared_buffers": "16MB"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


async def test_a_full_disk_is_unavailable_and_fails_the_probe(small_disk: Path) -> None:
    async with (
        EmbeddedPostgres(small_disk / "postgres", settings=_SMALL) as server,
        open_pool(server.dsn, application_name="test") as pool,
    ):
        storage = Storage(pool, SystemClock(), every_s=0.0)
        await storage()
        await pool.execute("CREATE TABLE filling (line text)")
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 64 * 1024))
        with pytest.raises(Unavailable) as caught:
            await storage()
        assert caught.value.reason == "DATABASE_FULL"
        assert "free space" in caught.value.message
        with pytest.raises(Unavailable, match="free space"), guard():
            await pool.execute(
                "INSERT INTO filling SELECT repeat('x', 1500) FROM generate_series(1, 1000)"
            )
        await ping(pool)
        ballast.unlink()
        await storage()


async def test_a_good_answer_holds_for_a_while(postgres: EmbeddedPostgres) -> None:
    async with open_pool(postgres.dsn, application_name="test") as pool:
        storage = Storage(pool, SystemClock(), every_s=60.0)
        await storage()
        await pool.close()
        await storage()
        with pytest.raises(Unavailable):
            await Storage(pool, SystemClock())()
