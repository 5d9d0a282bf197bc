"""Small collections of incidents, one for each format that `sensus rank` reads."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

T0 = 1_700_000_000 // 86_400 * 86_400
DICE = np.random.default_rng(0)


def put(path: Path, content: object) -> None:
    """JSON, gzipped by the name's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def put_table(path: Path, rows: list[list[Any]]) -> None:
    """A gzipped table, header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(",".join(str(cell) for cell in row) for row in rows)
    path.write_bytes(gzip.compress((lines + "\n").encode()))


def noisy(level: float) -> float:
    """`level`, five percent up or down."""
    return float(level * (1 + 0.05 * DICE.standard_normal()))


def call_graph_collection(root: Path) -> None:
    """`shop` alerts because `db` is slow."""
    header = ["time", "shop|latency|Average", "db|latency|Average", "ads|latency|Average"]
    normal = [[T0 + 900_000 + i * 300, *map(noisy, (50, 10, 10))] for i in range(200)]
    window = [[T0 + i * 300, *map(noisy, (50, 10, 10))] for i in range(2)]
    window += [[T0 + i * 300, noisy(90), noisy(50), ""] for i in range(2, 5)]
    put_table(root / "quiet" / "normal.csv.gz", [header, *normal])
    put(root / "quiet" / "graph.json", {"edges_cause_to_effect": [["shop", "db"], ["shop", "ads"]]})
    put_table(root / "incidents" / "i1" / "window.csv.gz", [header, *window])
    about = {
        "alert": {"agg": "Average", "metric": "latency", "node": "shop", "timestamp": T0 + 650},
        "graph": "quiet/graph.json",
        "id": "i1",
        "normal": "quiet/normal.csv.gz",
        "window": "window.csv.gz",
    }
    put(root / "incidents" / "i1" / "incident.json", about)


def trace_collection(root: Path) -> None:
    """`front` waits for `cart` from minute 30 on."""
    day = root / "2023-11-14"
    begun = T0 + 30 * 60 + 5
    put(day / "incidents.json", {"day": "2023-11-14", "incidents": [_listed("d1", begun)]})
    metrics = [[T0 + i * 60, *map(noisy, (5, 5, 99))] for i in range(40)]
    header = ["time", "front|CpuUsage(m)", "cart|CpuUsage(m)", "front_service|SuccessRate(%)"]
    put_table(day / "metrics_full.csv.gz", [header, *metrics])
    columns = (
        "minute service parent_service op n dur_p50 dur_p95 dur_max self_p50 self_p95 self_max"
    )
    rows: list[list[Any]] = [columns.split()]
    for i in [*range(25), 30, 31, 32]:
        wait = 90_000 if i >= 30 else noisy(1000)
        minute = f"00:{i:02}" + (" normal" if i == 0 else "")
        rows += [
            [minute, "front", "root", "Home", 50, *[20_000] * 3, *[500] * 3],
            [minute, "front", "front", "shop.Cart/Add", 50, *[wait] * 3, *[wait] * 3],
            [minute, "cart", "front", "/shop.Cart/Add", 50, *[500] * 3, *[500] * 3],
        ]
    put_table(day / "trace_edges.csv.gz", rows)


def _listed(id: str, at: int) -> dict[str, Any]:
    return {"id": id, "inject_time": at}


def change_collection(root: Path, *, diff: str = "-  mu.Lock()") -> None:
    """`pay` fails three minutes after a deploy."""
    folder = root / "incidents" / "c1"
    put(
        folder / "alert.json.gz",
        {"service": "pay", "metric": "error_ratio", "fired_at": "2023-11-14T01:00:00Z"},
    )
    rows = [["timestamp", "service", "metric", "value"]]
    for i in range(62):
        value = noisy(0.5) if i >= 58 else noisy(0.01)
        at = f"2023-11-14T{i // 60:02}:{i % 60:02}:00Z"
        rows.append([at, "pay", "error_ratio", str(value)])
    put_table(folder / "metrics.csv.gz", rows)
    commit = {
        "sha": "abc",
        "timestamp": "2023-11-14T00:50:00Z",
        "message": "simplify",
        "files_changed": ["pay.go"],
        "diff": diff,
    }
    put(folder / "context_commits.json.gz", [commit])
    deploy = {"timestamp": "2023-11-14T00:55:00Z", "service": "pay", "commit_sha": "abc"}
    put(folder / "context_deploys.json.gz", [deploy])
