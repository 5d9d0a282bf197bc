"""Several products that start at once on a machine that has no user for them yet."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

AT_ONCE = 8
ASK = (
    "import os; from cli.processes.account import child_account; "
    "os.write(1, b'%d ' % child_account().uid)"
)
USERS = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone makes users")
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare of util-linux")
def test_products_that_start_at_once_run_as_one_user(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    shutil.copytree("/etc", etc, symlinks=True, ignore=shutil.ignore_patterns("*.lock", "*-"))
    for name in USERS:
        lines = (etc / name).read_text().splitlines() if (etc / name).exists() else []
        kept = [line for line in lines if not line.startswith("sensus:")]
        (etc / name).write_text("".join(f"{line}\n" for line in kept))
    each = f'{sys.executable} -c "{ASK}" &\n'
    script = f"mount --bind {etc} /etc || exit 77\n{each * AT_ONCE}wait\nid -u sensus\n"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("mounting needs more rights than this root has")
    ids = done.stdout.split()
    assert len(ids) == AT_ONCE + 1, done.stderr
    assert len(set(ids)) == 1
