"""Ports of loopback for what a test starts. No other process of this machine gets one of them."""

import random
import socket
import sys
from dataclasses import fields, replace

from cli.product.ports import ANY_FREE, NEVER_OUTGOING, WHERE_FREE, Ports, settle

_held: list[socket.socket] = []
"""Bound and never listening: on Linux that keeps others away, but for who may reuse the address and
knows the port."""


def free_port() -> int:
    """A port that nobody listens on, and no outgoing connection will have. Costs a descriptor."""
    if sys.platform != "linux":
        return settle(ANY_FREE).gateway
    for port in random.sample(NEVER_OUTGOING, 1000):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(holder)
        return port
    raise AssertionError("no port is free")


def free_ports() -> Ports:
    """Those of a product, all but of OTLP, which it takes only where it is told to."""
    names = (each.name for each in fields(Ports) if each.name not in WHERE_FREE)
    return replace(ANY_FREE, **{name: free_port() for name in names})
