"""The attributes that are read, of both generations of semantic conventions. All others are not."""

from typing import Final

import numpy as np

NAMES: Final = (
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
PLACE: Final = {name: place for place, name in enumerate(NAMES)}
"""Number of each attribute in the columns of the kernels."""

OF_KEY: Final = 1
"""The operation of a span, or its peer, comes from it."""
HOST_OF_KEY: Final = 2
"""They come from the host and port in it."""
ERROR_TYPE: Final = 7
"""The next two are the message of an error and its stack trace."""
_ROLES: Final = {
    "url.full": HOST_OF_KEY,
    "http.url": HOST_OF_KEY,
    "http.response.status_code": 3,
    "http.status_code": 4,
    "rpc.response.status_code": 5,
    "rpc.grpc.status_code": 6,
    "exception.type": ERROR_TYPE,
    "exception.message": ERROR_TYPE + 1,
    "exception.stacktrace": ERROR_TYPE + 2,
}
_SLOTS: Final = 256
_NO_KEY: Final = 255
_ENTRY_BYTES: Final = 48
"""Of each key: how long it is, what it is for, and from the eighth byte on the key."""


def _table() -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    """The hash table in which `event_fields` looks keys up: the number of each, then all entries.

    One array, because each that a compiled function takes costs more than to look a key up.
    """
    slots, entries = np.full(_SLOTS, _NO_KEY, np.uint8), bytearray()
    for place, name in enumerate(NAMES):
        key = name.encode()
        head = bytes([len(key), _ROLES.get(name, OF_KEY)]).ljust(8, b"\0")
        entries += (head + key).ljust(_ENTRY_BYTES, b"\0")
        slot = (len(key) * 7 + key[len(key) // 2] * 31 + key[-2] * 5) % _SLOTS
        while slots[slot] != _NO_KEY:
            slot = (slot + 1) % _SLOTS
        slots[slot] = place
    return np.concatenate([slots, np.frombuffer(entries, np.uint8)])


TABLE: Final = _table()
