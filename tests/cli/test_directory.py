"""The data directory knows what runs in it and what an earlier run left behind."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from cli.problem import Problem
from cli.processes.lock import DirectoryLock
from cli.product.directory import DataDirectory, Run, end_orphans
from cli.product.environment import agent_environment
from cli.product.ports import Ports


def run(**changes: object) -> Run:
    own = psutil.Process()
    addresses = {
        "gateway_url": "http://127.0.0.1:1",
        "ingest_target": "127.0.0.1:2",
        "detector_target": "127.0.0.1:3",
        "explainer_target": "127.0.0.1:4",
        "notifier_target": "127.0.0.1:5",
    }
    return Run(**{"pid": own.pid, "started_at_s": own.create_time(), **addresses, **changes})


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path)
    directory.make()
    return directory


def test_a_running_product_is_found(directory: DataDirectory) -> None:
    directory.write_run(run(postgres_dsn="postgresql://x"))
    assert directory.running().ingest_target == "127.0.0.1:2"
    assert directory.running_dsn() == "postgresql://x"


@pytest.mark.parametrize("changes", [{"pid": 2**22 + 1}, {"started_at_s": 1.0}])
def test_a_run_that_was_killed_is_no_running_product(
    directory: DataDirectory, changes: dict[str, float]
) -> None:
    """Its pid is gone, or belongs to another process by now."""
    directory.write_run(run(postgres_dsn="postgresql://x", **changes))
    assert directory.running_dsn() == ""
    with pytest.raises(Problem, match="nothing runs in"):
        directory.running()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "future": 2}'])
def test_a_broken_run_file_is_no_running_product(directory: DataDirectory, content: str) -> None:
    (directory.path / "run.json").write_text(content)
    assert directory.last_run() is None


def test_run_file_and_keys_are_for_the_owner_only(directory: DataDirectory) -> None:
    directory.write_run(run())
    assert (directory.path / "run.json").stat().st_mode & 0o077 == 0
    assert directory.keys.stat().st_mode & 0o077 == 0


def test_orphans_are_ended_and_strangers_are_not() -> None:
    orphan, stranger = (subprocess.Popen(["sleep", "3600"]) for _ in range(2))
    started_at_s = psutil.Process(orphan.pid).create_time()
    processes = {"ingest": (orphan.pid, started_at_s), "gateway": (stranger.pid, 1.0)}
    end_orphans(run(processes=processes))
    assert not psutil.pid_exists(orphan.pid)
    assert stranger.poll() is None
    for process in (orphan, stranger):
        process.kill()
        process.wait()


def test_a_lock_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    code = "import sys, pathlib, time; from cli.processes.lock import DirectoryLock as L\n"
    code += (
        "lock = L(pathlib.Path(sys.argv[1])); lock.acquire(); print(flush=True); time.sleep(3600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    lock = DirectoryLock(tmp_path)
    with pytest.raises(Problem, match=f"already in use by process {holder.pid}; stop that one"):
        lock.acquire()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    lock.acquire()
    lock.release()


@pytest.mark.parametrize("own", ["SENSUS_AGENT_INTERVAL_S", "SENSUS_AGENT_CONFIG_FILE"])
def test_the_agent_of_the_machine_reads_often_unless_its_owner_says_otherwise(
    own: str, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENSUS_AGENT_INTERVAL_S", raising=False)
    monkeypatch.delenv("SENSUS_AGENT_CONFIG_FILE", raising=False)
    made = partial(agent_environment, directory, Ports(), run())
    assert made()["SENSUS_AGENT_INTERVAL_S"] == "5"
    monkeypatch.setenv(own, "60")
    assert "SENSUS_AGENT_INTERVAL_S" not in made()
