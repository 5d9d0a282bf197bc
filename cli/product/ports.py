"""Which ports the product takes on this machine."""

import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace

from cli.problem import Problem
from mesh import ports as defaults

_HOST = "127.0.0.1"
_LAST_PORT = 65535
_METRICS_OPTION = "metrics-base-port"
WHERE_FREE = ("otlp_grpc", "otlp_http")
NEVER_OUTGOING = range(20_000, 32_768)
"""Below what Linux, macOS and Windows choose from for outgoing connections."""
METRICS_SPAN = defaults.METRICS_AGENT - defaults.METRICS_INGEST + 1
"""Ports in a row among which those of all metrics lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One port per listener; 0 takes any free one. Metrics of all services lie side by side.

    The gateway's gRPC port is for the other services alone, so any free one does. The ports of OTLP
    are taken where they are free: a Collector of the machine has them first. 0 is none of them.
    """

    gateway: int = defaults.GATEWAY
    gateway_grpc: int = 0
    ingest: int = defaults.INGEST
    detector: int = defaults.DETECTOR
    explainer: int = defaults.EXPLAINER
    incidents: int = defaults.INCIDENTS
    notifier: int = defaults.NOTIFIER
    topology: int = defaults.TOPOLOGY
    otlp_grpc: int = defaults.OTLP_GRPC
    otlp_http: int = defaults.OTLP_HTTP
    metrics_ingest: int = defaults.METRICS_INGEST
    metrics_detector: int = defaults.METRICS_DETECTOR
    metrics_explainer: int = defaults.METRICS_EXPLAINER
    metrics_incidents: int = defaults.METRICS_INCIDENTS
    metrics_notifier: int = defaults.METRICS_NOTIFIER
    metrics_topology: int = defaults.METRICS_TOPOLOGY
    metrics_agent: int = defaults.METRICS_AGENT


ANY_FREE = Ports(
    gateway=0,
    gateway_grpc=0,
    ingest=0,
    detector=0,
    explainer=0,
    incidents=0,
    notifier=0,
    topology=0,
    otlp_grpc=0,
    otlp_http=0,
    metrics_ingest=0,
    metrics_detector=0,
    metrics_explainer=0,
    metrics_incidents=0,
    metrics_notifier=0,
    metrics_topology=0,
    metrics_agent=0,
)


def metrics_ports(base: int) -> dict[str, int]:
    """The metrics ports from `base` on, as far apart as by default; all 0 when `base` is 0."""
    usual = {name: port for name, port in asdict(Ports()).items() if name.startswith("metrics_")}
    return {
        name: base + port - defaults.METRICS_INGEST if base else 0 for name, port in usual.items()
    }


def settle(ports: Ports) -> Ports:
    """The same ports, every 0 replaced by a free one.

    Raises:
        Problem: Given ports are in use; names them, and the options with free ones.
    """
    settled: dict[str, int] = {}
    taken: list[str] = []
    with ExitStack() as held:  # all are held until the last is known, so that none is given twice
        for field in fields(ports):
            wanted = getattr(ports, field.name)
            if not wanted and field.name in WHERE_FREE:
                continue
            try:
                settled[field.name] = held.enter_context(_bound(wanted))
            except OSError:
                if field.name in WHERE_FREE:
                    settled[field.name] = 0
                else:
                    taken.append(field.name)
        if taken:
            raise Problem(_in_use(ports, taken))
    return replace(ports, **settled)


def _in_use(ports: Ports, taken: Sequence[str]) -> str:
    """Called while the ports that are free are held, so that none of them is offered."""
    numbers = " and ".join(str(getattr(ports, name)) for name in taken)
    which = f"port {numbers} is" if len(taken) == 1 else f"ports {numbers} are"
    lowest = {_option(name): getattr(ports, name) for name in reversed(taken)}
    with ExitStack() as offered:  # none is offered twice
        options = [
            f"--{option} {_next_free(port, _span(option), offered)}"
            for option, port in reversed(lowest.items())
        ]
    return (
        f"{which} in use by another program, perhaps by chance: systems choose ports of outgoing "
        f"connections from the same range. Free now: {' '.join(options)}"
    )


def _next_free(port: int, count: int, offered: ExitStack) -> int:
    """The first of `count` free ports in a row, after `port`; 0, for any, when there are none.

    Holds them in `offered`.
    """
    for first in range(port + 1, _LAST_PORT - count):
        with suppress(OSError), ExitStack() as held:
            for number in range(first, first + count):
                held.enter_context(_bound(number))
            offered.push(held.pop_all())
            return first
    return 0


@contextmanager
def _bound(port: int) -> Iterator[int]:
    with socket.socket() as listener:
        if port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, port))
        else:
            _bind_any(listener)
        listener.listen(1)
        yield listener.getsockname()[1]


def _bind_any(listener: socket.socket) -> None:
    """Binds to a free port that stays free until a service takes it, now or after a restart.

    One of the system's choice could be that of an outgoing connection a moment later.
    """
    for port in random.sample(NEVER_OUTGOING, 100):
        with suppress(OSError):
            listener.bind((_HOST, port))
            return
    listener.bind((_HOST, 0))


def _span(option: str) -> int:
    return METRICS_SPAN if option == _METRICS_OPTION else 1


def _option(name: str) -> str:
    return _METRICS_OPTION if name.startswith("metrics") else f"{name}-port"
