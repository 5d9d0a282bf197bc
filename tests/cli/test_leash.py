"""A leashed program ends with its parent, and has no right it does not need."""

import ast
import asyncio
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

import cli.processes.leash

LEASH = [sys.executable, str(Path(cli.processes.leash.__file__)), f"--parent={os.getpid()}"]
NOBODY = ["--uid=65534", "--gid=65534"]
DAC_OVERRIDE, DAC_READ_SEARCH = 1 << 1, 1 << 2

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def effective_capabilities(*command: str) -> int:
    done = subprocess.run(
        [*command, "--", "/bin/cat", "/proc/self/status"],
        capture_output=True,
        text=True,
        check=True,
    )
    fields = dict(line.split(":\t") for line in done.stdout.splitlines())
    assert fields["Uid"].split() == ["65534"] * 4
    assert fields["Groups"].split() == []
    assert fields["CapPrm"] == fields["CapEff"]
    return int(fields["CapEff"], 16)


async def sleeping(leashed: psutil.Process) -> list[psutil.Process]:
    """A leashed `sleep` and its leash, if that is a process of its own, once it sleeps."""
    async with asyncio.timeout(60):
        for _ in range(10**9):
            family = [leashed, *leashed.children()]
            if "sleep" in [process.name() for process in family]:
                return family
            await asyncio.sleep(0.05)
    raise AssertionError


@pytest.mark.parametrize("mode", ["exec", "watch"])
async def test_a_leashed_program_ends_when_its_parent_is_killed(mode: str) -> None:
    watch = "--watch" if mode == "watch" else "--signal=15"
    starter = """
        import os, subprocess, sys, time
        leash = [sys.executable, sys.argv[1], f"--parent={os.getpid()}", sys.argv[2], "--"]
        print(subprocess.Popen([*leash, "/bin/sleep", "3600"]).pid, flush=True)
        time.sleep(3600)
    """
    arguments = [str(Path(cli.processes.leash.__file__)), watch]
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(starter), *arguments), stdout=subprocess.PIPE
    )
    leashed = psutil.Process(int(await parent.stdout.readline()))
    family = await sleeping(leashed)
    parent.kill()
    await parent.wait()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, family, 60)
    assert (len(gone), alive) == (len(family), [])


@pytest.mark.parametrize(("status", "expected"), [("exit 3", 3), ("kill -9 $$", 247)])
def test_the_watching_leash_passes_the_exit_status_on(status: str, expected: int) -> None:
    done = subprocess.run([*LEASH, "--watch", "--", "/bin/sh", "-c", status], check=False)
    assert done.returncode == expected


@as_root
def test_a_directory_out_of_reach_is_told(tmp_path: Path) -> None:
    missing = subprocess.run(
        [*LEASH, *NOBODY, "--watch", f"--reach={tmp_path}", "--", "/bin/true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert missing.returncode == cli.processes.leash.OUT_OF_REACH
    assert missing.stderr == f"user id 65534 cannot reach /bin/true or {tmp_path}\n"


@as_root
def test_no_capability_is_given_when_none_is_needed(shared_directory: Path) -> None:
    assert effective_capabilities(*LEASH, *NOBODY, f"--reach={shared_directory}") == 0


@as_root
def test_a_closed_parent_directory_costs_one_capability(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "data").mkdir()
    reach = f"--reach={tmp_path / 'data'}"
    assert effective_capabilities(*LEASH, *NOBODY, reach) == DAC_READ_SEARCH


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_in_a_container_without_that_capability_its_usual_one_is_taken(tmp_path: Path) -> None:
    """Docker gives root CAP_DAC_OVERRIDE and not CAP_DAC_READ_SEARCH."""
    tmp_path.chmod(0o700)
    container = ["setpriv", "--bounding-set=-dac_read_search"]
    leash = [*LEASH, *NOBODY, f"--reach={tmp_path}"]
    assert effective_capabilities(*container, *leash) == DAC_OVERRIDE


def test_no_child_runs_code_between_fork_and_exec() -> None:
    """There gRPC's fork handlers crash it: who changes the user is the leash, after exec."""
    roots = [Path(cli.processes.leash.__file__).parents[2] / name for name in ("cli", "mesh")]
    for path in (path for root in roots for path in root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func)).startswith(
                ("subprocess.", "asyncio.create_subprocess")
            ):
                given = {keyword.arg for keyword in node.keywords}
                assert not given & {"user", "group", "extra_groups", "preexec_fn"}, (path, name)
