"""What network interfaces have received and sent."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from services.agent.machine.value import Value

_MOST: Final = 64
_LEFT_OUT: Final = re.compile(r"(veth|cali|lxc|cilium|tap|vnet|br-).*")
"""Interfaces that come and go with containers: their names never end."""

Counters = tuple[int, int, int, int, int, int, int, int]
"""Received bytes, packets, errors, drops, and the same sent."""


def network_counters(net_dev: Path | None) -> Iterator[Value]:
    """Counters of each interface, read from a file such as /proc/1/net/dev when one is given."""
    counters = _by_psutil() if net_dev is None else parsed(net_dev.read_text())
    kept = [name for name in counters if not _LEFT_OUT.fullmatch(name)]
    for name in sorted(kept)[:_MOST]:
        values = iter(counters[name])
        for way in ("receive", "transmit"):
            for what in ("bytes", "packets", "errs", "drop"):
                yield Value.of(f"node_network_{way}_{what}_total", next(values), device=name)


def parsed(text: str) -> dict[str, Counters]:
    r"""Counters by interface, of the text of net/dev.

    >>> parsed("Inter-|\n face |\n eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n")
    {'eth0': (1, 2, 3, 4, 5, 6, 7, 8)}
    """
    found: dict[str, Counters] = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if colon and len(fields) >= 12:
            received, sent = map(int, fields[:4]), map(int, fields[8:12])
            a, b, c, d, e, f, g, h = *received, *sent
            found[name.strip()] = (a, b, c, d, e, f, g, h)
    return found


def _by_psutil() -> dict[str, Counters]:
    return {
        name: (
            io.bytes_recv,
            io.packets_recv,
            io.errin,
            io.dropin,
            io.bytes_sent,
            io.packets_sent,
            io.errout,
            io.dropout,
        )
        for name, io in psutil.net_io_counters(pernic=True).items()
    }
