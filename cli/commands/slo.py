"""`sensus slo`: are the objectives of the gateway kept?"""

import math
from typing import Annotated

import httpx
import typer
from rich.table import Table

from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.problem import Problem
from cli.product.directory import DataDirectory
from cli.render.screen import make_console
from cli.slo import (
    Compliance,
    Objectives,
    RouteCounts,
    compliance,
    load_objectives,
    overall,
    read_exposition,
    read_prometheus,
)

_TIMEOUT_S = 30.0


def slo(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    prometheus: Annotated[
        str, typer.Option(help="URL of a Prometheus that scrapes the gateways.")
    ] = "",
    url: Annotated[str, typer.Option(help="URL of a gateway, instead of --data-dir.")] = "",
    window: Annotated[
        str, typer.Option(help="With --prometheus: of the last 1h, 7d, …; default: the objectives'")
    ] = "",
) -> None:
    """Check every route against the objectives; exit status 1 when one is broken.

    Without --prometheus the gateway that runs in the data directory is asked: its counts since
    its start. The objectives are cli/slo/objectives.toml.
    """
    objectives = load_objectives()
    if prometheus:
        counts = read_prometheus(prometheus, window or f"{objectives.window_days}d")
    else:
        counts = _of_gateway(url or DataDirectory(data_dir).running().gateway_url)
    broken = _show(counts, objectives)
    if broken:
        raise Problem(f"not kept: {', '.join(broken)}")


def _of_gateway(url: str) -> list[RouteCounts]:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/metrics", timeout=_TIMEOUT_S, trust_env=False)
        answer.raise_for_status()
        return read_exposition(answer.text)
    except (httpx.HTTPError, ValueError) as error:
        raise Problem(f"{url} does not serve /metrics of a gateway: {error}") from None


def _show(counts: list[RouteCounts], objectives: Objectives) -> list[str]:
    """Prints the table and gives the objectives that all routes together do not keep."""
    total = overall(counts, objectives)
    console = make_console()
    if total is None:
        console.print("no request that an objective covers has been counted")
        return []
    quantiles = [f"p{each.quantile * 100:g}" for each in objectives.latency]
    table = Table("route", "requests", "available", "errors", *quantiles, "budget left", box=None)
    for each in (*compliance(counts, objectives), total):
        table.add_row(*_row(each), style="red" if each.broken else None)
    console.print(table)
    return total.broken


def _row(each: Compliance) -> list[str]:
    least = min(each.budget_remaining, key=each.budget_remaining.__getitem__)
    return [
        each.route,
        f"{each.requests:.0f}",
        f"{each.availability:.3%}",
        f"{each.error_rate:.3%}",
        *(_bound(bound_s) for bound_s in each.latency_s.values()),
        f"{each.budget_remaining[least]:.0%} ({least})",
    ]


def _bound(bound_s: float) -> str:
    return "> all buckets" if math.isinf(bound_s) else f"≤ {bound_s:g} s"
