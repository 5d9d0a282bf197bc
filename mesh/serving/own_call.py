"""A call of a process to its own port: as a stranger would, from a thread, without the event loop.

One connection is used again and again, opened while nobody else has one: a process whose
connections are all taken is busy, not dead.
"""

import socket
import ssl
from contextlib import suppress
from typing import Final

from mesh.tls import TlsConfig, own_context

_RECEIVE_BYTES: Final = 65536

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEALTH: Final = b"/grpc.health.v1.Health/Check"
_NO_MESSAGE: Final = bytes(5)
_HEAD_BYTES: Final = 9
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4


class Connection:
    """A connection with what was received and not used yet; a timeout loses nothing of it."""

    def __init__(self, connected: socket.socket) -> None:
        """Owns `connected`."""
        self._socket = connected
        self._received = bytearray()

    def send(self, data: bytes) -> None:
        """Sends all of it."""
        self._socket.sendall(data)

    def wait_at_most(self, timeout_s: float) -> None:
        """Each wait of the next exchange."""
        self._socket.settimeout(timeout_s)

    def look(self, size: int) -> bytes:
        """The next `size` bytes, left where they are."""
        while len(self._received) < size:
            part = self._socket.recv(_RECEIVE_BYTES)
            if not part:
                raise ConnectionResetError("closed without an answer")
            self._received += part
        return bytes(self._received[:size])

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        taken = self.look(size)
        del self._received[:size]
        return taken

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


class GrpcHealth:
    """A health check over HTTP/2, with just as much of the protocol as that needs."""

    alpn: Final = ["h2"]

    def __init__(self, connection: Connection) -> None:
        """Opens HTTP/2 on a fresh connection."""
        self._connection = connection
        self._stream = -1
        self._waiting = False
        connection.send(_PREFACE + _frame(_SETTINGS))

    def exchange(self) -> None:
        """Returns when the newest check, or one that was too slow before, is answered."""
        if not self._waiting:
            self._ask()
        while True:
            kind, flags, stream = self._next_frame()
            if kind == _HEADERS and stream == self._stream and flags & _END_STREAM:
                self._waiting = False
                return

    def _ask(self) -> None:
        self._stream += 2
        self._waiting = True
        self._connection.send(
            # the answers so far have used up the window of the connection a little
            _frame(_WINDOW_UPDATE, payload=(1024).to_bytes(4, "big"))
            + _frame(_HEADERS, _END_HEADERS, self._stream, _request_headers())
            + _frame(_DATA, _END_STREAM, self._stream, _NO_MESSAGE)
        )

    def _next_frame(self) -> tuple[int, int, int]:
        size = int.from_bytes(self._connection.look(_HEAD_BYTES)[:3], "big")
        raw = self._connection.look(_HEAD_BYTES + size)
        self._connection.take(len(raw))
        kind, flags, stream = raw[3], raw[4], int.from_bytes(raw[5:9], "big")
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            payload = raw[_HEAD_BYTES:] if kind == _PING else b""
            self._connection.send(_frame(kind, _ACK, 0, payload))
        return kind, flags, stream


class HttpLiveness:
    """A GET over HTTP/1.1."""

    alpn: Final = ["http/1.1"]

    def __init__(self, connection: Connection) -> None:
        """Has nothing to say on a fresh connection."""
        self._connection = connection
        self._waiting = False

    def exchange(self) -> None:
        """Returns when the newest request, or one that was too slow before, is answered."""
        if not self._waiting:
            self._connection.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self._waiting = True
        self._connection.take(self._answer_size())
        self._waiting = False

    def _answer_size(self) -> int:
        size = 1
        while not (head := self._connection.look(size)).endswith(b"\r\n\r\n"):
            size += 1
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return size + int(line.partition(b":")[2])
        return size


class OwnCall:
    """Asks the own port. Used by one thread."""

    def __init__(
        self,
        host: str,
        port: int,
        speaks: type[GrpcHealth | HttpLiveness],
        tls: TlsConfig | None = None,
    ) -> None:
        """`host` as it is listened on; with `tls` the own certificate is shown."""
        self._address = (_reachable(host), port)
        self._speaks = speaks
        self._tls = tls
        self._open: tuple[Connection, GrpcHealth | HttpLiveness] | None = None

    def listening(self, timeout_s: float) -> None:
        """ConnectionRefusedError when nobody listens; a full backlog proves nothing."""
        with suppress(TimeoutError):
            socket.create_connection(self._address, timeout_s).close()

    def ask(self, timeout_s: float) -> None:
        """Returns when an answer came, whatever it says.

        Raises:
            TimeoutError: None came in time; the next call goes on waiting for it.
            OSError: The connection was closed, a fresh one too.
        """
        was_open = self._open is not None
        try:
            self._exchange(timeout_s)
        except TimeoutError:
            raise
        except ssl.SSLError:
            self.close()  # alive enough to refuse a certificate, ours may have expired
        except OSError:
            self.close()
            if not was_open:
                raise
            self._exchange(timeout_s)

    def close(self) -> None:
        """Closes the connection; the next call opens another one."""
        if self._open is not None:
            self._open[0].close()
            self._open = None

    def _exchange(self, timeout_s: float) -> None:
        if self._open is None:
            connection = Connection(self._connected(timeout_s))
            self._open = (connection, self._speaks(connection))
        connection, spoken = self._open
        connection.wait_at_most(timeout_s)
        spoken.exchange()

    def _connected(self, timeout_s: float) -> socket.socket:
        plain = socket.create_connection(self._address, timeout_s)
        if self._tls is None:
            return plain
        return own_context(self._tls, self._speaks.alpn).wrap_socket(plain)


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def _request_headers() -> bytes:
    headers = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": _HEALTH,
        b":authority": b"localhost",
        b"content-type": b"application/grpc",
        b"te": b"trailers",
    }
    return b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in headers.items()
    )


def _reachable(host: str) -> str:
    """An address that is listened on, as a client can name it."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
