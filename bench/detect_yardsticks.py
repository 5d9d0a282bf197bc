"""The yardsticks of detection: NAB, cloud, incidents, made-up operation.

The series of all four are held as columns, scored by the engine of the service as one stream, and
judged by the scripts beside the data. What was read is kept in a folder of the temporary directory.
"""

import pickle
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.detect_corpora import BENCH, COLLECTIONS, corpora_or_exit, load_module, series_of

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

CACHE = Path(tempfile.gettempdir()) / "sensus-bench"
SEEDS = (1, 2, 3)
SECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Series one after the other: names, and where each starts; one entry per sample."""

    names: Sequence[str]
    starts: I64
    times_ms: I64
    values: F64

    def parts(self, scores: F64) -> Iterator[tuple[str, F64]]:
        """Name and scores of each series."""
        yield from zip(self.names, np.split(scores, self.starts[1:]), strict=True)


def columns(series: Sequence[tuple[str, I64, F64]]) -> Columns:
    """The series as columns."""
    lengths = [len(times) for _, times, _ in series]
    return Columns(
        names=[name for name, _, _ in series],
        starts=np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
        times_ms=np.concatenate([times for _, times, _ in series]),
        values=np.concatenate([values for _, _, values in series]),
    )


class Labelled:
    """NAB and cloud: points are told at one threshold per collection."""

    def __init__(self) -> None:
        """Reads both."""
        self.scorer, self.corpora = corpora_or_exit()
        self.columns = {n: columns(list(series_of(self.corpora[n]))) for n in COLLECTIONS}


class Incidents:
    """Whole systems with faults at known times."""

    def __init__(self) -> None:
        """Reads the open part."""
        self.module: Any = load_module(BENCH / "incidents" / "incident_score.py")
        self.part = str(BENCH / "incidents" / "open")
        self.columns, self._lines = cached("incidents", self._read)
        self.truth = self.module.read_part(self.part)

    def detector(self, scores: F64) -> Any:
        """Outcomes by threshold of these scores, one per sample."""
        by_series = dict(self.columns.parts(scores))
        lines = self._lines

        class FromMemory(self.module.Timeline):  # type: ignore[name-defined,misc]
            def __init__(self, name: str, timeline: dict[str, Any], _: str) -> None:
                self.__dict__.update(lines[name])
                self.name, self.t = name, timeline
                named = (f"{name}|{each}" for each in timeline["columns"])
                kept = [by_series[n][k] for n, k in zip(named, lines[name]["kept"], strict=True)]
                self.score = np.nan_to_num(np.concatenate(kept), nan=0.0)

        original, self.module.Timeline = self.module.Timeline, FromMemory
        try:
            return self.module.Detector(self.truth, "")
        finally:
            self.module.Timeline = original

    def height(self, outcomes: Any) -> float:
        """H, the merit over all accepted rates of false alarms; see the scorer."""
        at = [outcomes.at(threshold) for threshold in outcomes.grid()]
        false, merit = (np.array([each[name] for each in at]) for name in ("false", "merit"))
        return float(100 * self.module.area(outcomes.rate(false), outcomes.mean(merit)))

    def _read(self) -> tuple[Columns, dict[str, Any]]:
        import pandas as pd

        module, series, lines = self.module, [], {}
        for name, timeline in module.read_part(self.part)["timelines"].items():
            frame = module.wide(self.part, timeline)
            first = 0
            if not timeline["fault_free_rows"]:
                first = max(min(f["row"] for f in timeline["faults"]) - 2 * module.AGAIN, 0)
            start_ms = int(pd.Timestamp(timeline["start"]).value // 1_000_000)
            rows, sids, positions, kept = [], [], [], []
            for sid, column in enumerate(timeline["columns"]):
                cells = frame[column].to_numpy()
                sent = cells != ""
                index = frame.index.to_numpy()[sent]
                times = start_ms + index.astype(np.int64) * int(timeline["step_s"] * 1000)
                series.append((f"{name}|{column}", times, cells[sent].astype(np.float64)))
                keep = index >= first
                rows.append(index[keep])
                sids.append(np.full(keep.sum(), sid))
                positions.append(np.arange(keep.sum()))
                kept.append(keep)
            lines[name] = _line(module, timeline, rows, sids, positions, kept)
        return columns(series), lines


def _line(
    module: ModuleType,
    timeline: dict[str, Any],
    rows: list[Any],
    sids: list[Any],
    positions: list[Any],
    kept: list[Any],
) -> dict[str, Any]:
    services = sorted({module.service(c) for c in timeline["columns"]})
    number = {s: k for k, s in enumerate(services)}
    row, sid = np.concatenate(rows), np.concatenate(sids)
    free = np.zeros(len(row), bool)
    for a, b in timeline["fault_free_rows"]:
        free |= (row >= a) & (row <= b)
    watched = np.zeros(len(row), bool)
    for f in timeline["faults"]:
        watched |= (row >= f["row"]) & (row <= f["watch_to_row"])
    count = np.bincount(sid[free], minlength=len(timeline["columns"]))
    return {
        "services": services,
        "of": np.array([number[module.service(c)] for c in timeline["columns"]]),
        "row": row,
        "pos": np.concatenate(positions),
        "sid": sid,
        "free": free,
        "watched": watched,
        "exposure": count * timeline["step_s"] / module.WEEK,
        "kept": kept,
    }


class Synthetic:
    """Made-up series with exact truth, one family for each thing that operation is like."""

    def __init__(self, seed: int, each: int = 6) -> None:
        """Makes the families of a seed."""
        self.module = load_module(BENCH / "incidents" / "synthetic.py")
        self.columns, self.truth = cached(
            f"synthetic-{seed}-{each}", lambda: self._make(seed, each)
        )

    def data(self, scores: F64) -> list[tuple[str, Any, I64, F64]]:
        """What the judge wants."""
        times = dict(self.columns.parts(self.columns.times_ms // SECONDS))
        return [
            (name, self.truth[name], times[name], np.nan_to_num(each))
            for name, each in self.columns.parts(scores)
        ]

    def _make(self, seed: int, each: int) -> tuple[Columns, dict[str, Any]]:
        module, series, truth = self.module, [], {}
        for family, make in module.FAMILIES.items():
            for k in range(each):
                random = np.random.default_rng([seed, k, zlib.crc32(family.encode())])
                s, name = make(random, k), f"{family}/{k}.csv"
                form = "{:.0f}" if family.startswith("counter") else "{:.6g}"
                values = np.array([float(form.format(v)) for v in s.v])
                times = (module.T0 + s.t).astype(np.int64)
                series.append((name, times * SECONDS, values))
                truth[name] = {
                    "announce": [[module.T0 + a, module.T0 + b, w] for a, b, w in s.announce],
                    "silent": [[module.T0 + a, module.T0 + b] for a, b in s.silent],
                    "at_most": [[module.T0 + a, module.T0 + b, n, w] for a, b, n, w in s.at_most],
                }
        return columns(series), truth


def cached(name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, made once on this machine."""
    file = CACHE / f"{name}.pickle"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(make()))
    return pickle.loads(file.read_bytes())
