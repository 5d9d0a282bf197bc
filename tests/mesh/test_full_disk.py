"""A database whose disk is full answers, but cannot store: that is seen and named."""

from pathlib import Path

import pytest

from cli.embedded.postgres import EmbeddedPostgres
from mesh.clock import SystemClock
from mesh.errors import Unavailable
from mesh.postgres import Storage, guard, open_pool, ping
from tests.small_disk import POSTGRES, small_disk


async def test_a_full_disk_is_unavailable_and_fails_the_probe(tmp_path: Path) -> None:
    with small_disk(tmp_path, 160) as disk:
        async with (
            EmbeddedPostgres(disk.path / "postgres", settings=POSTGRES) as server,
            open_pool(server.dsn, application_name="test") as pool,
        ):
            storage = Storage(pool, SystemClock(), every_s=0.0)
            await storage()
            await pool.execute("CREATE TABLE filling (line text)")
            disk.fill()
            with pytest.raises(Unavailable) as caught:
                await storage()
            assert caught.value.reason == "DATABASE_FULL"
            assert "free space" in caught.value.message
            with pytest.raises(Unavailable, match="free space"), guard():
                await pool.execute(
                    "INSERT INTO filling SELECT repeat('x', 1500) FROM generate_series(1, 1000)"
                )
            await ping(pool)
            disk.free()
            await storage()


async def test_a_good_answer_holds_for_a_while(postgres: EmbeddedPostgres) -> None:
    async with open_pool(postgres.dsn, application_name="test") as pool:
        storage = Storage(pool, SystemClock(), every_s=60.0)
        await storage()
        await pool.close()
        await storage()
        with pytest.raises(Unavailable):
            await Storage(pool, SystemClock())()
