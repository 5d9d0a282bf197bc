"""Our patterns of log lines beside drain3, in one run: how well lines are grouped, and how fast.

A line counts when its group holds exactly the lines of its true template (the grouping accuracy of
LogHub). The templates are known: those of LogHub samples by hand, when SENSUS_LOGHUB names a folder
with their `*_2k.log_structured.csv`; those of programs that run here by the place in their source
that wrote the line. Places that wrote the same line count as one, as no text tells them apart.

Ours has no parameter. The similarity of drain3 is its default, and, with its usual masks of
numbers and addresses, for each system the one that is best for all others.

    make bench-templates   or   python -m bench.templates [--only NAME ...]
"""

import argparse
import asyncio
import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.templates import postgres
from services.ingest.model.events import Names
from services.ingest.otlp.event_columns import Columns
from services.ingest.otlp.patterns import Patterns
from services.ingest.wire.fields import Spans

HERE: Final = Path(__file__).parent
PASSES: Final = 20
"""How often the lines of a system come; the first time all is new."""
BODY: Final = 500
"""Lines of a body, as SDKs send them."""
SIMILARITIES: Final = (0.3, 0.4, 0.5, 0.6, 0.7)
DEFAULT: Final = 0.4
LEAST_RATIO: Final = 8.0
LEAST_ACCURACY: Final = 0.78
LINES: Final = 2000

Lines = Sequence[tuple[str, str]]
"""The true template and the text of each line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """What a miner made of the lines of a system.

    Attributes:
        groups: Of each line.
        first_s: For all lines, when all are new.
        again_s: For all lines, when they come again; the best of some passes.
    """

    groups: Sequence[int]
    first_s: float
    again_s: float


class Drain3:
    """drain3 in its own process."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, HERE / "drain.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def grouped(
        self, texts: Sequence[str], similarity: float, *, masks: bool, passes: int
    ) -> Grouped:
        """Asks it."""
        said = {"lines": texts, "similarity": similarity, "masks": masks, "passes": passes}
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        took_s = found["took_s"]
        return Grouped(groups=found["groups"], first_s=took_s[0], again_s=min(took_s[1:] or took_s))

    def close(self) -> None:
        """Ends it."""
        self._process.communicate()


def main() -> int:
    """Prints a row of each system; 1 when ours is slower or worse than asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="some systems")
    parser.add_argument("--wrong", action="store_true", help="show what is grouped wrongly")
    parser.add_argument("--python", type=Path, default=HERE.parents[1] / ".templates/bin/python")
    asked, console = parser.parse_args(), Console(width=130)
    if not asked.python.is_file():
        console.print(f"skipped: {asked.python} is missing, `make bench-templates` makes it")
        return 0
    parts = {"LogHub": _loghub(), "programs": _programs(asked.python)}
    drain3, failed = Drain3(asked.python), False
    ours(["compiles"], 1)
    for part, systems in parts.items():
        chosen = {name: each for name, each in systems.items() if name in (asked.only or systems)}
        if not chosen:
            console.print(f"{part}: none; SENSUS_LOGHUB names a folder of samples")
            continue
        failed |= _compare(console, part, chosen, drain3)
        if asked.wrong:
            _print_wrong(console, chosen)
    drain3.close()
    return int(failed)


def _compare(console: Console, part: str, systems: Mapping[str, Lines], drain3: Drain3) -> bool:
    tuned = _left_one_out(systems, drain3)
    table = Table(title=f"{part}: grouping accuracy, and 1000 lines a second and core")
    for column in ("system", "lines", "templates", "ours", "drain3", "masks, tuned"):
        table.add_column(column, justify="right")
    for column in ("ours: first", "again", "drain3: first", "again", "ratio", "masks: ratio"):
        table.add_column(column, justify="right")
    accuracies, ratios = defaultdict[str, list[float]](list), list[float]()
    for name, lines in systems.items():
        truth, texts = [each for each, _ in lines], [text for _, text in lines]
        own = ours(texts, PASSES)
        theirs = drain3.grouped(texts, DEFAULT, masks=False, passes=PASSES)
        best = drain3.grouped(texts, tuned[name], masks=True, passes=3)
        own = min(own, ours(texts, PASSES), key=lambda each: each.again_s)
        found = [accuracy(truth, each.groups) for each in (own, theirs, best)]
        for miner, value in zip(("ours", "drain3", "masks"), found, strict=True):
            accuracies[miner].append(value)
        ratios.append(theirs.again_s / own.again_s)
        speeds = [len(texts) / each / 1000 for each in (own.first_s, own.again_s)]
        speeds += [len(texts) / each / 1000 for each in (theirs.first_s, theirs.again_s)]
        table.add_row(
            name,
            f"{len(texts):,}",
            str(len(set(truth))),
            *(f"{each:.3f}" for each in found),
            *(f"{each:,.0f}" for each in speeds),
            f"{ratios[-1]:.1f}",
            f"{best.again_s / own.again_s:.1f}",
        )
    means = {miner: mean(found) for miner, found in accuracies.items()}
    median = float(np.median(ratios))
    table.add_row(
        "mean; median",
        "",
        "",
        *(f"{each:.3f}" for each in means.values()),
        "",
        "",
        "",
        "",
        f"{median:.1f}",
        "",
    )
    console.print(table)
    return median < LEAST_RATIO or (part == "LogHub" and means["ours"] < LEAST_ACCURACY)


def accuracy(truth: Sequence[str], groups: Sequence[int]) -> float:
    """The share of lines whose group holds exactly the lines of their template."""
    of_truth, of_groups = Counter(truth), Counter(groups)
    pairs = Counter(zip(truth, groups, strict=True))
    good = sum(n for (t, g), n in pairs.items() if n == of_truth[t] == of_groups[g])
    return good / len(truth)


def ours(texts: Sequence[str], passes: int) -> Grouped:
    """By the product's own code, in bodies of 500 lines of one service."""
    patterns, took_s = Patterns(Columns()), list[float]()
    bodies = [_body(texts[begin : begin + BODY]) for begin in range(0, len(texts), BODY)]
    names = Names({}, {}, {}, {}, {})
    for _ in range(passes):
        groups = list[int]()
        began_s = time.process_time()
        for body, spans, numbers in bodies:
            ids, which = patterns.of(body, spans, numbers, lambda _: "shop", names)
            groups += ids[which].tolist()
        took_s.append(time.process_time() - began_s)
    return Grouped(groups=groups, first_s=took_s[0], again_s=min(took_s[1:] or took_s))


def _body(
    texts: Sequence[str],
) -> tuple[bytes, Spans, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
    encoded = [each.encode(errors="replace") for each in texts]
    ends = np.cumsum([len(each) for each in encoded], dtype=np.int64)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
    return b"".join(encoded), Spans(starts, starts, ends), np.zeros(len(texts), np.int64)


def _left_one_out(systems: Mapping[str, Lines], drain3: Drain3) -> dict[str, float]:
    """For each system the similarity of drain3 with masks that is best for all others."""
    found = {
        (name, similarity): accuracy(
            [truth for truth, _ in lines],
            drain3.grouped([text for _, text in lines], similarity, masks=True, passes=1).groups,
        )
        for name, lines in systems.items()
        for similarity in SIMILARITIES
    }
    return {
        left_out: max(
            SIMILARITIES,
            key=lambda each: sum(found[name, each] for name in systems if name != left_out),
        )
        for left_out in systems
    }


def _loghub() -> dict[str, Lines]:
    folder = os.environ.get("SENSUS_LOGHUB")
    if not folder:
        return {}
    found = dict[str, Lines]()
    for file in sorted(Path(folder).rglob("*_2k.log_structured.csv")):
        with file.open(newline="", encoding="utf-8", errors="replace") as rows:
            lines = [(row["EventId"], row["Content"]) for row in csv.DictReader(rows)]
        found[file.name.partition("_")[0]] = lines
    return found


def _programs(python: Path) -> dict[str, Lines]:
    """PostgreSQL and some Python programs, as they log here and now."""
    systems: dict[str, list[tuple[str, str]]] = {"PostgreSQL": asyncio.run(postgres.lines())}
    done = subprocess.run([python, HERE / "programs.py"], stdout=subprocess.PIPE, check=True)
    for line in done.stdout.splitlines():
        said = json.loads(line)
        systems.setdefault(said["system"], []).append((said["template"], said["text"]))
    return {name: _merged(lines[:LINES]) for name, lines in systems.items()}


def _merged(lines: Lines) -> Lines:
    """Places that wrote the same line as one."""
    one_of: dict[str, str] = {}

    def root(place: str) -> str:
        while one_of.get(place, place) != place:
            place = one_of[place]
        return place

    by_text: dict[str, str] = {}
    for place, text in lines:
        one_of[root(by_text.setdefault(text, place))] = root(place)
    return [(root(place), text) for place, text in lines]


def _print_wrong(console: Console, systems: Mapping[str, Lines]) -> None:
    for name, lines in systems.items():
        truth, groups = [each for each, _ in lines], ours([text for _, text in lines], 1).groups
        of_truth, of_groups = defaultdict(set), defaultdict(set)
        for place, group in zip(truth, groups, strict=True):
            of_truth[place].add(group)
            of_groups[group].add(place)
        samples = defaultdict[str, dict[int, str]](dict)
        for (place, text), group in zip(lines, groups, strict=True):
            samples[place].setdefault(group, text)
        for place, count in Counter(truth).most_common():
            split, mixed = len(of_truth[place]), max(len(of_groups[g]) for g in of_truth[place])
            if split > 1 or mixed > 1:
                console.print(f"{name}: {count} lines, {split} groups, {mixed} templates in one")
                for text in list(samples[place].values())[:3]:
                    console.print(f"    {text[:110]!r}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
