"""A transport that sends the head of an answer together with its first bytes.

uvicorn writes them one after the other, and each write is a system call, a packet and a wake-up of
the peer. That pays for the bounds of `Connection`: an answer costs what it costs in uvicorn alone.
"""

import asyncio
from typing import Any


class Corked:
    """Holds a write back until the next one, or until the loop comes round."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Writes to `transport`; everything else is its own."""
        self._transport = transport
        self._loop = loop
        self._held = b""
        self._flushing: asyncio.Handle | None = None

    def __getattr__(self, name: str) -> Any:
        """Whatever the transport has."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Writes what was held and `data`, or holds `data`."""
        if self._flushing is None:
            self._held = data
            self._flushing = self._loop.call_soon(self._flush)
        else:
            self._held += data
            self._flush()

    def close(self) -> None:
        """Closes after what was held."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Closes without what was held."""
        self._held = b""
        self._flush()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Asked for each answer, so without `__getattr__`."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """What the peer has not taken yet, held or not."""
        return len(self._held) + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)
