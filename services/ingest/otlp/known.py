"""The attributes that are read, of both generations of semantic conventions. All others are not."""

from typing import Final

import numpy as np

_NAMES: Final = (
    "http.route",
    "url.template",
    "http.request.method",
    "http.method",
    "rpc.system.name",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "db.system.name",
    "db.system",
    "db.operation.name",
    "db.operation",
    "db.collection.name",
    "db.sql.table",
    "db.namespace",
    "db.name",
    "messaging.system",
    "messaging.operation.type",
    "messaging.operation",
    "messaging.destination.template",
    "messaging.destination.name",
    "messaging.destination",
    "peer.service",
    "server.address",
    "net.peer.name",
    "server.port",
    "net.peer.port",
    "url.full",
    "http.url",
    "http.response.status_code",
    "http.status_code",
    "rpc.response.status_code",
    "rpc.grpc.status_code",
    "exception.type",
    "exception.message",
    "exception.stacktrace",
)
PLACE: Final = {name: place for place, name in enumerate(_NAMES)}
"""Number of each attribute in the columns of the kernels."""
COUNT: Final = len(_NAMES)

IN_KEY: Final = np.array(
    [
        2 if name in ("url.full", "http.url") else int(place < 29)
        for place, name in enumerate(_NAMES)
    ]
)
"""Of each: 1 the name of an operation or of its peer comes from it, 2 from its host and port."""

KEYS: Final = np.frombuffer("".join(_NAMES).encode(), np.uint8).copy()
KEY_ENDS: Final = np.cumsum([len(name) for name in _NAMES])


def _slots() -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The hash table in which `event_kernels` looks keys up."""
    slots = np.full(256, -1, np.int64)
    for place, name in enumerate(_NAMES):
        key = name.encode()
        slot = (len(key) * 7 + key[len(key) // 2] * 31 + key[-2] * 5) & 255
        while slots[slot] >= 0:
            slot = (slot + 1) & 255
        slots[slot] = place
    return slots


SLOTS: Final = _slots()
