"""Which ports the product takes on this machine."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace

from cli.problem import Problem
from mesh import ports as defaults

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One port per listener; 0 takes any free one. Metrics of all services lie side by side."""

    gateway: int = defaults.GATEWAY
    ingest: int = defaults.INGEST
    detector: int = defaults.DETECTOR
    explainer: int = defaults.EXPLAINER
    metrics_ingest: int = defaults.METRICS_INGEST
    metrics_detector: int = defaults.METRICS_DETECTOR
    metrics_explainer: int = defaults.METRICS_EXPLAINER


ANY_FREE = Ports(
    gateway=0,
    ingest=0,
    detector=0,
    explainer=0,
    metrics_ingest=0,
    metrics_detector=0,
    metrics_explainer=0,
)


def metrics_ports(base: int) -> dict[str, int]:
    """The three metrics ports from `base` on; all 0 when `base` is 0."""
    names = ("metrics_ingest", "metrics_detector", "metrics_explainer")
    return {name: base + offset if base else 0 for offset, name in enumerate(names)}


def settle(ports: Ports) -> Ports:
    """The same ports, every 0 replaced by a free one.

    Problem, naming all that are taken and their options, when a given port is in use.
    """
    settled: dict[str, int] = {}
    taken: list[str] = []
    with ExitStack() as held:  # all are held until the last is known, so that none is given twice
        for field in fields(ports):
            wanted = getattr(ports, field.name)
            try:
                settled[field.name] = held.enter_context(_bound(wanted))
            except OSError:
                taken.append(f"{wanted} (--{_option(field.name)})")
    if taken:
        raise Problem(f"port {', '.join(taken)} already in use; choose another, or 0 for any free")
    return replace(ports, **settled)


@contextmanager
def _bound(port: int) -> Iterator[int]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen(1)
        yield listener.getsockname()[1]


def _option(name: str) -> str:
    return "metrics-base-port" if name.startswith("metrics") else f"{name}-port"
