"""The data directory: what lies where, and what is known about the run that uses it."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from cli.problem import Problem, command_text
from cli.processes.lock import not_yours

_ORPHAN_TIMEOUT_S = 20.0
_CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Addresses of a running product and its processes, as other commands find them.

    Attributes:
        started_at_s: start time of the process `pid`, Unix seconds.
        postgres_dsn: empty when the server is the user's own: its password is not ours to store.
        processes: pid and start time (Unix seconds) of each service, enough to know it again.
    """

    pid: int
    started_at_s: float
    gateway_url: str
    ingest_target: str
    detector_target: str
    explainer_target: str
    incidents_target: str = ""
    notifier_target: str = ""
    topology_target: str = ""
    postgres_dsn: str = ""
    processes: dict[str, tuple[int, float]] = field(default_factory=dict)


class DataDirectory:
    """Paths below one data directory and its run.json."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.keys = self.path / "keys"
        self.logs = self.path / "logs"
        self.cache = self.path / "cache"
        self.postgres = self.path / "postgres"
        self.redis = self.path / "redis"
        self.agent = self.path / "agent"
        self.secrets = self.path / "secrets"
        self._run_file = self.path / "run.json"

    def make(self) -> None:
        """Makes it, open for reading by others: what is private below it is closed by itself."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.keys.mkdir(mode=0o700, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise Problem(
                f"cannot make {error.filename}: {error.strerror}; choose another --data-dir"
            ) from None

    def write_run(self, run: Run) -> None:
        """Tells other commands where the product is; whole or not at all."""
        fresh = self._run_file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(run), file, indent=2)
        fresh.replace(self._run_file)

    def forget_run(self) -> None:
        """Nothing runs here any more."""
        self._run_file.unlink(missing_ok=True)

    def last_run(self) -> Run | None:
        """What the last run wrote; it may have been killed since. Problem when it is not ours."""
        try:
            return Run(**json.loads(self._run_file.read_text()))
        except PermissionError:
            raise Problem(not_yours(self.path)) from None
        except (OSError, ValueError, TypeError):
            return None

    def running_dsn(self) -> str:
        """Where the embedded PostgreSQL listens now; empty when it does not run."""
        run = self.last_run()
        return run.postgres_dsn if run and _same(run.pid, run.started_at_s) else ""

    def running(self) -> Run:
        """The product that runs here now. Problem when there is none."""
        run = self.last_run()
        if run is None or not _same(run.pid, run.started_at_s):
            start = command_text("sensus", "up", "--data-dir", self.path)
            raise Problem(
                f"nothing runs in {self.path}; start it with `{start}`, "
                "or name the directory of the one that runs with --data-dir"
            )
        return run


def end_orphans(run: Run | None) -> None:
    """Ends services that a killed run left behind. Blocks until they are gone.

    Only a process with the recorded start time is touched; a pid alone could be anybody's by now.
    """
    recorded = run.processes.values() if run else ()
    orphans = [process for pid, started_at_s in recorded if (process := _same(pid, started_at_s))]
    for process in orphans:
        process.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=_ORPHAN_TIMEOUT_S)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive)


def _same(pid: int, started_at_s: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started_at_s) < _CLOCK_TOLERANCE_S
        return process if same else None
    except psutil.NoSuchProcess:
        return None
