"""HTTP/2 by hand: frames as a hostile client sends them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8

Header = tuple[bytes, bytes]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame, whatever is in it."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def length(size: int) -> bytes:
    """An HPACK integer with a prefix of seven bits."""
    if size < 127:
        return bytes([size])
    rest, encoded = size - 127, b"\x7f"
    while rest >= 128:
        encoded += bytes([rest % 128 + 128])
        rest //= 128
    return encoded + bytes([rest])


def block(headers: Sequence[Header]) -> bytes:
    """Headers as literals without indexing."""
    return b"".join(
        b"\x00" + length(len(name)) + name + length(len(value)) + value for name, value in headers
    )


def call_headers(path: bytes, *extra: Header, without: bytes = b"") -> list[Header]:
    """The headers of a gRPC call; one of them may be left out."""
    headers = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"x"),
        (b":path", path),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ]
    return [header for header in headers if header[0] != without] + list(extra)


def opening(headers: Sequence[Header], flags: int = END_HEADERS, stream: int = 1) -> bytes:
    """A HEADERS frame."""
    return frame(HEADERS, flags, stream, block(headers))


def call(path: bytes, message: bytes = bytes(5), *extra: Header, stream: int = 1) -> bytes:
    """A whole unary call; `message` with its prefix of five bytes."""
    return opening(call_headers(path, *extra), stream=stream) + frame(
        DATA, END_STREAM, stream, message
    )


@asynccontextmanager
async def connected(
    port: int, *, greet: bool = True
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to this machine, with the preface sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if greet:
            writer.write(PREFACE + frame(SETTINGS))
        yield reader, writer
    finally:
        writer.close()


async def send(
    port: int, data: bytes, *, greet: bool = True, answer_s: float = 0.05, until: bytes = b""
) -> bytes:
    """Sends on a connection of its own and returns what comes back in a moment.

    With `until` that moment ends with the answer that has it.
    """
    received = b""
    async with connected(port, greet=greet) as (reader, writer):
        try:
            writer.write(data)
            async with asyncio.timeout(2):
                await writer.drain()
            async with asyncio.timeout(answer_s):
                while part := await reader.read(65536):
                    received += part
                    if until and until in received:
                        break
        except (TimeoutError, ConnectionError):
            pass
    return received
