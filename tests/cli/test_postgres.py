"""The embedded PostgreSQL keeps its data through every way a run can end."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import psutil
import pytest

import cli.processes.leash
from cli.embedded import orphans
from cli.embedded.postgres import EmbeddedPostgres
from cli.problem import Problem

REPOSITORY = Path(__file__).resolve().parents[2]
HOLDER = """
    import asyncio, sys
    from pathlib import Path
    from cli.embedded.postgres import EmbeddedPostgres

    async def hold():
        async with EmbeddedPostgres(Path(sys.argv[1])) as postgres:
            print(postgres.pid, postgres.dsn, flush=True)
            await asyncio.sleep(3600)

    asyncio.run(hold())
"""


async def query(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def hold(directory: Path, *leash: str) -> "subprocess.Popen[str]":
    """Another process that runs the server until it is killed."""
    return subprocess.Popen(
        [*leash, sys.executable, "-c", textwrap.dedent(HOLDER), str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def started(holder: "subprocess.Popen[str]") -> tuple[int, str]:
    assert holder.stdout is not None
    pid, dsn = holder.stdout.readline().split()
    return int(pid), dsn


def end(holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    holder.stdout.close()


async def test_commits_are_durable_by_default(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        assert await query(postgres.dsn, "SHOW synchronous_commit") == "on"
        assert await query(postgres.dsn, "SHOW fsync") == "on"
        assert await query(postgres.dsn, "SHOW listen_addresses") == ""


async def test_pgvector_is_there(postgres_dsn: str) -> None:
    assert await query(postgres_dsn, "CREATE EXTENSION vector") is None
    assert await query(postgres_dsn, "SELECT '[1,2]'::vector <-> '[1,4]'") == 2.0


async def test_data_outlive_a_clean_stop(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    async with postgres:
        await query(postgres.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    async with postgres:
        assert await query(postgres.dsn, "SELECT n FROM kept") == 7


async def test_a_killed_server_starts_again_with_its_data(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    await postgres.start()
    await query(postgres.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(postgres.pid, signal.SIGKILL)
    assert await postgres.wait() == -signal.SIGKILL
    await postgres.stop()
    async with postgres:
        assert await query(postgres.dsn, "SELECT n FROM kept") == 7


async def test_a_frozen_server_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Its backends are frozen too, and see no end of it."""
    postgres = EmbeddedPostgres(tmp_path)
    await postgres.start()
    for process in orphans.servers_in(tmp_path / "data", "postgres"):
        process.suspend()
    os.kill(postgres.pid, signal.SIGKILL)
    assert await postgres.wait() == -signal.SIGKILL
    await postgres.stop()
    async with postgres:
        assert await query(postgres.dsn, "SELECT 1") == 1


async def test_a_pidfile_with_the_pid_of_a_stranger_does_no_harm(tmp_path: Path) -> None:
    """After a reboot the pid in a stale postmaster.pid may belong to anybody."""
    async with EmbeddedPostgres(tmp_path):
        pidfile = (tmp_path / "data" / "postmaster.pid").read_text().splitlines()
    stranger = await asyncio.create_subprocess_exec("sleep", "3600")
    try:
        stale = tmp_path / "data" / "postmaster.pid"
        stale.write_text("\n".join([str(stranger.pid), *pidfile[1:]]) + "\n")
        async with EmbeddedPostgres(tmp_path) as postgres:
            assert await query(postgres.dsn, "SELECT 1") == 1
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_the_server_ends_when_its_holder_is_killed(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    pid, _ = started(holder)
    server = psutil.Process(pid)
    end(holder)
    await asyncio.to_thread(server.wait, 60)
    assert orphans.servers_in(tmp_path / "data", "postgres") == []


async def test_a_server_left_running_by_a_killed_run_is_stopped_first(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    await postgres.start()
    orphan = postgres._process
    await query(postgres.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    postgres._lock.release()  # what the kernel does for a killed holder
    async with EmbeddedPostgres(tmp_path) as successor:
        assert await orphan.wait() == 0
        assert await query(successor.dsn, "SELECT n FROM kept") == 7


async def test_a_second_server_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path) as first:
        with pytest.raises(Problem, match=f"already in use by process {os.getpid()}"):
            await EmbeddedPostgres(tmp_path).start()
        assert await query(first.dsn, "SELECT 1") == 1


async def test_two_servers_live_side_by_side(tmp_path: Path) -> None:
    async with (
        EmbeddedPostgres(tmp_path / "one") as one,
        EmbeddedPostgres(tmp_path / "two") as two,
    ):
        await query(one.dsn, "CREATE TABLE only_here (n int)")
        assert await query(two.dsn, "SELECT to_regclass('only_here')") is None


async def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30) / "with space"
    async with EmbeddedPostgres(directory) as postgres:
        assert await query(postgres.dsn, "SELECT 1") == 1
        short = Path(unquote(urlsplit(postgres.dsn).query.removeprefix("host=")))
        assert os.stat(short).st_mode & 0o777 == 0o700
    assert short.name not in os.listdir(short.parent)


async def test_half_a_cluster_of_a_killed_first_start_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "data.unfinished").mkdir()
    (tmp_path / "data.unfinished" / "PG_VERSION").write_text("18")
    async with EmbeddedPostgres(tmp_path) as postgres:
        assert await query(postgres.dsn, "SELECT 1") == 1


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path, settings={"shared_buffers": "nonsense"})
    with pytest.raises(Problem, match='invalid value for parameter "shared_buffers"'):
        await postgres.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_as_root_the_server_belongs_to_a_plain_user(tmp_path: Path) -> None:
    """Also below a directory that only root may enter, whose mode stays as it was."""
    os.chmod(tmp_path, 0o700)
    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        assert psutil.Process(postgres.pid).uids().effective != 0
        assert os.stat(tmp_path).st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_plain_user_can_run_it(shared_directory: Path) -> None:
    os.chown(shared_directory, 65534, 65534)
    leash = [sys.executable, str(Path(cli.processes.leash.__file__)), f"--parent={os.getpid()}"]
    holder = hold(shared_directory, *leash, "--uid=65534", "--gid=65534", "--")
    try:
        pid, dsn = started(holder)
        assert psutil.Process(pid).uids().effective == 65534
        assert await query(dsn, "SELECT 1") == 1
    finally:
        end(holder)


async def test_no_link_that_the_server_left_is_followed(tmp_path: Path) -> None:
    """Root writes into a directory of the server's user, which may have planted anything there."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        dsn = postgres.dsn
    for name in ("pg_hba.conf", "pg_ident.conf", "pg_hba.conf.new"):
        (tmp_path / "postgres" / name).unlink(missing_ok=True)
        (tmp_path / "postgres" / name).symlink_to(victim)
    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        assert await query(dsn, "SELECT 1") == 1
    (tmp_path / "postgres" / "lock").unlink()
    (tmp_path / "postgres" / "lock").symlink_to(victim)
    with pytest.raises(Problem, match="is a link"):
        await EmbeddedPostgres(tmp_path / "postgres").start()
    assert victim.read_text() == "precious"
    assert victim.stat().st_uid == os.geteuid()
