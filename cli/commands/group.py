"""`sensus group`: recorded storms of alerts, put into incidents."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.problem import Problem
from services.incidents.correlator import Settings, State, correlate
from services.incidents.correlator.bursts import Graph
from services.incidents.model.change import Change, Joined, Kind, Severity

_BY_THEMSELVES = Settings(reopen_ms=0)
"""Recorded alerts have no end: each counts as over with its burst, and comes again as a new one."""


def group(
    storms: Annotated[Path, typer.Option(help="Holds storms/*.jsonl.gz and graphs/*.json.")],
    out: Annotated[Path, typer.Option(help="JSON: alert id -> incident id.")],
    without_cycle: Annotated[
        bool, typer.Option(help="Do not use that alerts come in step with an evaluation cycle.")
    ] = False,
) -> None:
    """Group recorded storms as the incidents service would, no service running.

    Alerts are taken in the order of the file, each before the next one is seen. What fires all the
    time stands in an incident of its own.
    """
    files = sorted((storms / "storms").glob("*.jsonl.gz"))
    if not files:
        raise Problem(f"--storms {storms}: no storms/*.jsonl.gz below it")
    settings = Settings(reopen_ms=0, cycle_ms=0) if without_cycle else _BY_THEMSELVES
    groups: dict[str, str] = {}
    for file in files:
        graph = graph_of(storms / "graphs" / f"{file.name.split('-')[0]}.json")
        groups |= grouped(alerts_of(file), graph, settings)
    out.write_text(json.dumps(groups, indent=0, sort_keys=True) + "\n")
    typer.echo(f"{len(groups)} alerts of {len(files)} storms grouped into {out}")


def grouped(changes: Iterator[Change], graph: Graph, settings: Settings) -> dict[str, str]:
    """The incident of each alert of one storm."""
    state, found = State(), {}
    for change in changes:
        placed = correlate(state, change, graph, (), change.start_ms, settings)
        state.held_by_fingerprint.pop(change.fingerprint, None)
        is_joined = isinstance(placed, Joined)
        found[change.member_id] = placed.incident_id if is_joined else change.member_id  # type: ignore[union-attr]
    return found


def alerts_of(file: Path) -> Iterator[Change]:
    """The alerts of a storm, in order."""
    try:
        with gzip.open(file, "rt") as lines:
            for line in lines:
                yield _change(json.loads(line))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(f"{file}: is no storm: {error!r}") from error


def _change(row: dict[str, Any]) -> Change:
    labels = {str(name): str(value) for name, value in row["labels"].items()}
    return Change(
        member_id=row["id"],
        kind=Kind.ALERT,
        fingerprint=json.dumps(labels, sort_keys=True),
        labels=labels,
        severity=Severity.WARNING,
        start_ms=round(row["time"] * 1000),
    )


def graph_of(file: Path) -> Graph:
    """Who calls whom, both ways; nothing where it is not known."""
    if not file.is_file():
        return {}
    near: dict[str, set[str]] = defaultdict(set)
    for caller, callee in json.loads(file.read_text()):
        near[caller].add(callee)
        near[callee].add(caller)
    return near
