"""Memory and swap, in bytes."""

from collections.abc import Iterator

import psutil

from services.agent.machine.value import Value


def memory() -> Iterator[Value]:
    """Totals, what is free or can be freed, and the share in use, from 0 to 1."""
    ram, swap = psutil.virtual_memory(), psutil.swap_memory()
    yield Value.of("node_memory_MemTotal_bytes", ram.total)
    yield Value.of("node_memory_MemFree_bytes", ram.free)
    yield Value.of("node_memory_MemAvailable_bytes", ram.available)
    if hasattr(ram, "buffers"):
        yield Value.of("node_memory_Buffers_bytes", ram.buffers)
    yield Value.of("node_memory_SwapTotal_bytes", swap.total)
    yield Value.of("node_memory_SwapFree_bytes", swap.free)
    yield Value.of("node_memory_utilization_ratio", 1 - ram.available / max(ram.total, 1))
