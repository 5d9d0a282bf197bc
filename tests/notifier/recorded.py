"""`python -m tests.notifier.recorded` asks amtool anew, for what `make test` compares with."""

import json
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from tests.notifier import amtool, drawn

FILE = Path(__file__).parent / "recorded_routes.json"
TREES, SETS = 60, 8


def cases() -> list[dict[str, Any]]:
    """Configurations, label sets, and the receivers that amtool named."""
    found: list[dict[str, Any]] = json.loads(FILE.read_text())
    return found


def record() -> None:
    """Asks amtool."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "alertmanager.yml"
        for seed in range(TREES):
            random = Random(seed)
            tree = drawn.tree(random)
            file.write_text(json.dumps(amtool.config(tree)))
            sets = [drawn.labels(random) for _ in range(SETS)]
            queries = [[labels, amtool.receivers(file, labels)] for labels in sets]
            rows.append({"route": tree, "asked": queries})
    FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    record()
