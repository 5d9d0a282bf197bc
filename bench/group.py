"""How well recorded storms are grouped, beside a fixed pause, and how fast. Lower noise is better.

    make bench-group   or   python -m bench.group [--storms DIR]

ARI counts pairs of alerts of faults; noise is the share of other alerts that stand with them.
Compression is alerts per incident. Regret is the share of alerts of faults that came into their
incident after its first notice, ten seconds after it was opened, though another incident has more
of that fault: nobody could have been judged right.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from cli.commands.group import alerts_of, graph_of, grouped
from services.incidents.correlator import Settings
from services.incidents.correlator.bursts import Graph
from services.incidents.model.change import Change, Kind, Severity

STORMS = Path("../shared/bench/grouping")
GOALS = {
    "onlineboutique-one": (0.90, 0.15),
    "onlineboutique-two": (0.72, 1.0),
    "trainticket-one": (0.97, 0.15),
    "trainticket-two": (0.70, 1.0),
    "all": (0.84, 0.15),
}
RATE_MIN = 2000.0
Grouping = Callable[[Sequence[Change], Graph], dict[str, str]]


def pairs(counts: Counter[Any]) -> float:
    """Pairs of equal ones."""
    return sum(n * (n - 1) / 2 for n in counts.values())


def scored(
    groups: dict[str, str], labels: dict[str, int], times: dict[str, int]
) -> dict[str, float]:
    """Figures of one storm."""
    judged = [(groups[each], fault) for each, fault in labels.items() if fault]
    both, ours = pairs(Counter(judged)), pairs(Counter(group for group, _ in judged))
    true, count = pairs(Counter(fault for _, fault in judged)), len(judged)
    chance = ours * true / (count * (count - 1) / 2)
    of_faults = {group for group, _ in judged}
    noise = [each for each, fault in labels.items() if not fault]
    return {
        "ARI": (both - chance) / ((ours + true) / 2 - chance),
        "noise": fmean(groups[each] in of_faults for each in noise),
        "compression": len(groups) / len(set(groups.values())),
        "regret": regret(groups, labels, times),
    }


def regret(groups: dict[str, str], labels: dict[str, int], times: dict[str, int]) -> float:
    """Share of alerts of faults that came after the first notice into an incident not theirs."""
    first: dict[str, int] = {}
    by_fault: dict[int, Counter[str]] = defaultdict(Counter)
    for each, fault in labels.items():
        first[groups[each]] = min(times[each], first.get(groups[each], times[each]))
        by_fault[fault][groups[each]] += 1
    own = {fault: groups.most_common(1)[0][0] for fault, groups in by_fault.items()}
    late = [
        groups[each] != own[fault] and times[each] > first[groups[each]] + 10_000
        for each, fault in labels.items()
        if fault
    ]
    return fmean(late)


def fixed_pause(changes: Sequence[Change], _: Graph) -> dict[str, str]:
    """The baseline: whatever comes within a minute belongs together."""
    found, last_ms, current = {}, -(10**15), ""
    for change in changes:
        current = current if change.start_ms - last_ms <= 60_000 else change.member_id
        found[change.member_id], last_ms = current, change.start_ms
    return found


def with_settings(settings: Settings) -> Grouping:
    """The service's own correlator."""
    return lambda changes, graph: grouped(iter(changes), graph, settings)


def measured(storms: Path, grouping: Grouping) -> dict[str, dict[str, float]]:
    """Mean figures by kind of storm, and of all."""
    kinds: dict[str, list[dict[str, float]]] = defaultdict(list)
    for file in sorted((storms / "storms").glob("*.jsonl.gz")):
        name = file.name.removesuffix(".jsonl.gz")
        changes = list(alerts_of(file))
        labels = json.loads((storms / "labels" / f"{name}.json").read_text())
        groups = grouping(changes, graph_of(storms / "graphs" / f"{name.split('-')[0]}.json"))
        times = {change.member_id: change.start_ms for change in changes}
        kinds[name.rsplit("-", 1)[0]].append(scored(groups, labels, times))
    kinds["all"] = [each for scores in list(kinds.values()) for each in scores]
    return {
        kind: {figure: fmean(each[figure] for each in scores) for figure in scores[0]}
        for kind, scores in kinds.items()
    }


def rate_per_s(count: int = 20_000) -> float:
    """Changes a second of a storm over 500 services in 20 environments, on one core."""
    draw = random.Random(7)
    changes = [
        Change(
            member_id=str(n),
            kind=Kind.ALERT,
            fingerprint=f"{draw.randrange(2000)}",
            labels={"service": f"s{draw.randrange(500)}", "env": f"e{draw.randrange(20)}"},
            severity=Severity.WARNING,
            start_ms=n * 20,
        )
        for n in range(count)
    ]
    began_s = time.perf_counter()
    grouped(iter(changes), {}, Settings(reopen_ms=0))
    return count / (time.perf_counter() - began_s)


def left_out(storms: Path) -> None:
    """Chooses the length of a pause on one system and measures it on the other one."""
    choices = [Settings(reopen_ms=0, pause_alerts=each) for each in (2.0, 3.0, 4.0, 6.0, 8.0)]
    results = [measured(storms, with_settings(each)) for each in choices]
    for system, other in (("onlineboutique", "trainticket"), ("trainticket", "onlineboutique")):

        def worth(result: dict[str, dict[str, float]], of: str = system) -> float:
            one, two = result[f"{of}-one"], result[f"{of}-two"]
            return one["ARI"] + two["ARI"] - one["noise"] - two["noise"]

        best = max(range(len(choices)), key=lambda n: worth(results[n]))
        one, two = results[best][f"{other}-one"], results[best][f"{other}-two"]
        print(
            f"chosen on {system}: pause_alerts {choices[best].pause_alerts:g}; left out, {other}: "
            f"one {one['ARI']:.3f} at noise {one['noise']:.2f}, "
            f"two {two['ARI']:.3f} at noise {two['noise']:.2f}"
        )


def show(title: str, result: dict[str, dict[str, float]]) -> None:
    """Prints one grouping."""
    print(title)
    for kind, figures in result.items():
        print(f"  {kind:20s}", "  ".join(f"{name} {value:.3f}" for name, value in figures.items()))


def main() -> None:
    """Prints all figures; status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storms", type=Path, default=STORMS)
    storms = parser.parse_args().storms
    if not (storms / "storms").is_dir():
        sys.exit(f"{storms} is not there: nothing to measure")
    ours = measured(storms, with_settings(Settings(reopen_ms=0)))
    show("a pause of 60 s", measured(storms, fixed_pause))
    show("sensus", ours)
    show(
        "sensus without the cycle",
        measured(storms, with_settings(Settings(reopen_ms=0, cycle_ms=0))),
    )
    left_out(storms)
    rate = rate_per_s()
    print(f"{rate:.0f} changes a second on one core")
    missed = [
        kind
        for kind, (least, noise) in GOALS.items()
        if ours[kind]["ARI"] < least or ours[kind]["noise"] > noise
    ]
    if missed or rate < RATE_MIN:
        sys.exit(f"missed: {', '.join([*missed, *(['rate'] if rate < RATE_MIN else [])])}")


if __name__ == "__main__":
    main()
