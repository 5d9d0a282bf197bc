"""Ports are checked before anything is started."""

import os
import re
import socket
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace

import pytest

from cli.problem import Problem
from cli.product.ports import ANY_FREE, METRICS_SPAN, Ports, metrics_ports, settle


def test_zero_becomes_a_free_port_and_no_port_is_given_twice() -> None:
    settled = always(settle(ANY_FREE))
    assert 0 not in settled
    assert len(set(settled)) == len(settled)


def test_the_ports_of_otlp_are_left_to_whoever_has_them() -> None:
    with ExitStack() as held:
        port = taken(held, 20_000)
        settled = settle(replace(ANY_FREE, otlp_grpc=port))
    assert (settled.otlp_grpc, settled.otlp_http) == (0, 0)
    assert settle(replace(ANY_FREE, otlp_http=port)).otlp_http == port


def always(ports: Ports) -> tuple[int, ...]:
    """The ports that the product cannot do without."""
    by_name = asdict(ports)
    return tuple(port for name, port in by_name.items() if not name.startswith("otlp"))


def test_a_port_in_use_is_named_with_the_next_free_one_and_its_option() -> None:
    with ExitStack() as held:
        port = taken(held, 20_000)
        wanted = Ports(**{**dict.fromkeys(Ports.__slots__, 0), "gateway": port})
        with pytest.raises(Problem) as caught:
            settle(wanted)
    offer = re.fullmatch(
        rf"port {port} is in use by .* Free now: --gateway-port (\d+)", str(caught.value)
    )
    assert settle(replace(wanted, gateway=int(offer[1]))).gateway == int(offer[1]) > port


def test_no_port_is_offered_twice() -> None:
    with ExitStack() as held:
        first = taken(held, 20_000)
        second = taken(held, first + 1)
        wanted = Ports(**{**dict.fromkeys(Ports.__slots__, 0), "gateway": first, "ingest": second})
        with pytest.raises(Problem) as caught:
            settle(wanted)
    offers = re.findall(r"-port (\d+)", str(caught.value))
    assert len(set(offers)) == 2


def taken(held: ExitStack, start: int) -> int:
    """The first free port from `start` on, taken: below those that systems give out by chance."""
    for port in range(start, 32_000):
        with suppress(OSError):
            return held.enter_context(socket.create_server(("127.0.0.1", port))).getsockname()[1]
    raise AssertionError


def test_ports_that_are_offered_fit_together() -> None:
    """All taken at once: the offers are free, no port twice, and three in a row for metrics."""
    with ExitStack() as held:
        first = taken(held, 11_000 + os.getpid() % 9_000)
        second = taken(held, first + 100)
        wanted = replace(ANY_FREE, gateway=first, ingest=first + 1, **metrics_ports(second))
        with pytest.raises(Problem) as caught:
            settle(wanted)
        assert str(caught.value).startswith(f"ports {first} and ")
        offers = dict(re.findall(r"--([\w-]+) (\d+)", str(caught.value)))
        better = replace(wanted, gateway=int(offers["gateway-port"]))
        better = replace(better, **metrics_ports(int(offers["metrics-base-port"])))
        assert len(set(always(settle(better)))) == len(always(better))


def test_metrics_ports_lie_side_by_side() -> None:
    given = metrics_ports(9461).values()
    assert sorted(given) == list(given)
    assert set(given) == set(range(9461, 9461 + METRICS_SPAN))
    assert not any(metrics_ports(0).values())
