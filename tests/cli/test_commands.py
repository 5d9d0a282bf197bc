"""Commands that need no running product, by the door people use."""

import asyncio
import os
import shlex
import subprocess
import sys
from pathlib import Path

import asyncpg

from mesh.auth import TokenVerifier, generate_key_files

REPOSITORY = Path(__file__).resolve().parents[2]
SENSUS = [sys.executable, "-c", "from cli.main import app; app()"]


async def sensus(*arguments: object, **settings: str) -> tuple[int, str, str]:
    """Exit status, output and errors of one command."""
    process = await asyncio.create_subprocess_exec(
        *(*SENSUS, *map(str, arguments)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env={**os.environ, **settings},
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_help_names_every_command() -> None:
    status, output, _ = await sensus("--help")
    assert status == 0
    for command in ("up", "demo", "send", "tail", "explain", "rank", "token", "keys", "migrate"):
        assert f"\n  {command} " in output


async def test_keys_are_private_and_kept_when_made_again(tmp_path: Path) -> None:
    assert (await sensus("keys", tmp_path / "keys"))[0] == 0
    made = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    assert sorted(made) == [
        *("detector.pem", "explainer.pem", "gateway.pem", "incidents.pem", "ingest.pem"),
        *("jwks.json", "notifier.pem", "topology.pem"),
    ]
    assert (tmp_path / "keys" / "ingest.pem").stat().st_mode & 0o077 == 0
    assert (await sensus("keys", tmp_path / "keys"))[0] == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == made


async def test_tail_without_a_running_product_says_how_to_start_it(tmp_path: Path) -> None:
    status, output, errors = await sensus("tail", "--data-dir", tmp_path)
    assert (status, output) == (1, "")
    assert errors == (
        f"sensus: nothing runs in {tmp_path}; start it with `sensus up --data-dir {tmp_path}`, "
        "or name the directory of the one that runs with --data-dir\n"
    )


async def test_the_data_directory_may_come_from_the_environment(tmp_path: Path) -> None:
    _, _, errors = await sensus("explain", "x", SENSUS_DATA_DIR=str(tmp_path))
    assert errors.startswith(f"sensus: nothing runs in {tmp_path};")


async def test_a_token_without_a_key_is_a_problem(tmp_path: Path) -> None:
    status, _, errors = await sensus("token", "--data-dir", tmp_path)
    assert status == 1
    assert errors.startswith(f"sensus: there is no key {tmp_path}/keys/gateway.pem; start")


async def test_a_token_is_one_the_services_accept(tmp_path: Path) -> None:
    jwks_file = generate_key_files(tmp_path / "keys", ["gateway"])
    arguments = ("--user", "eve", "--scope", "read:alerts", "--ttl", "60")
    status, output, _ = await sensus("token", "--data-dir", tmp_path, *arguments)
    principal = TokenVerifier.from_file(jwks_file).verify(output.strip())
    assert status == 0
    assert (principal.subject, principal.scopes) == ("user:eve", frozenset({"read:alerts"}))


async def test_a_scope_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    generate_key_files(tmp_path / "keys", ["gateway"])
    status, output, errors = await sensus(
        *("token", "--data-dir", tmp_path, "--scope", "read:alerts", "--scope", "nonsense")
    )
    assert (status, output) == (1, "")
    assert errors == (
        "sensus: --scope nonsense: must be one of admin, read:alerts, read:analysis, "
        "read:incidents, read:notices, read:samples, read:stream, read:topology, write:alerts, "
        "write:analysis, write:incidents, write:logs, write:samples, write:traces\n"
    )


async def test_a_command_to_copy_survives_a_folder_with_blanks(tmp_path: Path) -> None:
    directory = tmp_path / "Überwachung mit 'Leer'"
    _, _, errors = await sensus("tail", "--data-dir", directory)
    command = errors.partition("`")[2].partition("`")[0]
    assert shlex.split(command) == ["sensus", "up", "--data-dir", str(directory)]


async def test_a_home_that_cannot_be_written_to_does_no_harm(tmp_path: Path) -> None:
    """Compiled kernels and matplotlib keep files there; here neither finds a place."""
    draw = (
        "from pathlib import Path; import sys, numpy as np\n"
        "from cli.main import app  # imports every kernel\n"
        "from cli.backtest.picture import Picture, draw\n"
        "none = np.zeros(0); times = none.astype(np.int64)\n"
        "draw(Picture(title='', times_ms=times, values=none, scores=()), Path(sys.argv[1]))\n"
    )
    nowhere = dict.fromkeys(("HOME", "NUMBA_CACHE_DIR", "XDG_CONFIG_HOME"), "/proc/none")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", draw, str(tmp_path / "empty.png")),
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env={**os.environ, **nowhere},
    )
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert (tmp_path / "empty.png").exists()


async def test_migrate_takes_a_server_of_the_users_own(postgres_dsn: str, tmp_path: Path) -> None:
    arguments = ("migrate", "--data-dir", tmp_path)
    first = await sensus(*arguments, SENSUS_POSTGRES_DSN=postgres_dsn)
    second = await sensus(*arguments, SENSUS_POSTGRES_DSN=postgres_dsn)
    assert first[0] == second[0] == 0
    assert "applied ingest/0001_" in first[1]
    assert second[1] == "nothing to do: all migrations are applied\n"
    connection = await asyncpg.connect(postgres_dsn)
    assert await connection.fetchval("SELECT count(*) > 0 FROM sensus_meta.migrations")
    await connection.close()


async def test_migrate_starts_the_embedded_server_when_nothing_runs(tmp_path: Path) -> None:
    status, output, _ = await sensus("migrate", "--data-dir", tmp_path / "data")
    assert status == 0
    assert "applied ingest/0001_" in output
    assert not (tmp_path / "data" / "postgres" / "data" / "postmaster.pid").exists()


async def test_a_server_that_cannot_be_reached_is_a_problem(tmp_path: Path) -> None:
    dsn = "postgresql://nobody:secret@127.0.0.1:1/none"
    status, _, errors = await sensus("migrate", "--data-dir", tmp_path, SENSUS_POSTGRES_DSN=dsn)
    assert status == 1
    assert errors.startswith("sensus: PostgreSQL at SENSUS_POSTGRES_DSN cannot be used: ")
    assert "secret" not in errors


async def test_a_data_directory_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    status, _, errors = await sensus("up", "--data-dir", file / "data")
    assert (status, errors) == (
        1,
        f"sensus: cannot make {file}/data: Not a directory; choose another --data-dir\n",
    )
