"""Ports are checked before anything is started."""

import socket
from dataclasses import astuple

import pytest

from cli.ports import ANY_FREE, Ports, metrics_ports, settle
from cli.problem import Problem


def test_zero_becomes_a_free_port_and_no_port_is_given_twice() -> None:
    settled = astuple(settle(ANY_FREE))
    assert 0 not in settled
    assert len(set(settled)) == len(settled)


def test_a_port_in_use_is_named_with_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        wanted = Ports(**{**dict.fromkeys(Ports.__slots__, 0), "gateway": port})
        with pytest.raises(Problem) as caught:
            settle(wanted)
    assert str(caught.value) == (
        f"port {port} (--gateway-port) already in use; choose another, or 0 for any free"
    )


def test_metrics_ports_lie_side_by_side() -> None:
    assert list(metrics_ports(9461).values()) == [9461, 9462, 9463]
    assert list(metrics_ports(0).values()) == [0, 0, 0]
