"""What Alertmanager's own `amtool config routes test` says of a tree."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("amtool")


def config(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A whole configuration; JSON is YAML."""
    return {"route": dict(tree), "receivers": [{"name": f"r{number}"} for number in range(10)]}


def receivers(file: Path, labels: Mapping[str, str]) -> list[str]:
    """The receivers that amtool names for these labels."""
    assert PROGRAM is not None
    given = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()]
    command = [PROGRAM, "config", "routes", "test", f"--config.file={file}", *given]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip().split(",")
