"""What a stranger may send to a gRPC port, by name. `path` is that of a method which exists."""

import gzip
import random
from collections.abc import Iterator
from typing import Final

from tests.abuse.raw_http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    block,
    call,
    call_headers,
    frame,
    opening,
)

CHECK: Final = b"/grpc.health.v1.Health/Check"
_FUZZED: Final = 40


def paths() -> Iterator[tuple[str, bytes]]:
    """Calls of methods that nobody has."""
    named = {
        "not UTF-8": b"/\xff",
        "not UTF-8 in the method": CHECK + b"\xff",
        "cut UTF-8": b"/sensus\xe2\x82",
        "surrogate": b"/\xed\xa0\x80",
        "empty": b"",
        "no slash": b"x",
        "asterisk": b"*",
        "slashes": b"////",
        "no such method": CHECK + b"s",
        "NUL": b"/a\x00b",
        "line feed": b"/a\nb",
        "long": b"/" + b"a" * 7000,
        "too long": b"/" + b"a" * 60_000,
    }
    for name, path in named.items():
        yield f"path: {name}", call(path)


def metadata(path: bytes) -> Iterator[tuple[str, bytes]]:
    """Headers that no well-meaning client sends."""
    headers = {
        "value not UTF-8": (b"x-note", b"\xff\xfe"),
        "key not UTF-8": (b"x-\xff", b"note"),
        "key in capitals": (b"X-NOTE", b"note"),
        "empty key": (b"", b"note"),
        "binary that is no base64": (b"x-note-bin", b"\xff!!"),
        "token not UTF-8": (b"authorization", b"Bearer \xff\xfe"),
        "token of nobody": (b"authorization", b"Bearer a.b.c"),
        "trace not UTF-8": (b"traceparent", b"\xff" * 55),
        "timeout of nonsense": (b"grpc-timeout", b"\xff"),
        "timeout below zero": (b"grpc-timeout", b"-1S"),
        "timeout of ages": (b"grpc-timeout", b"99999999999999H"),
        "encoding unknown": (b"grpc-encoding", b"\xff"),
        "encoding not offered": (b"grpc-encoding", b"zstd"),
        "second path": (b":path", b"/\xff"),
        "unknown pseudo header": (b":note", b"x"),
        "connection header": (b"connection", b"keep-alive"),
        "huge": (b"x-note", b"a" * 15_000),
        "too huge": (b"x-note", b"a" * 16_000 * 4),
        "status of a response": (b":status", b"200"),
        "agent not UTF-8": (b"user-agent", b"\xff"),
        "content length that lies": (b"content-length", b"-7"),
    }
    for name, header in headers.items():
        yield f"metadata: {name}", call(path, bytes(5), header)
    for missing in (b":method", b":scheme", b":authority", b":path", b"content-type", b"te"):
        data = opening(call_headers(path, without=missing)) + frame(DATA, END_STREAM, 1, bytes(5))
        yield f"metadata: without {missing.decode()}", data
    for name, value in ((b":method", b"\xff"), (b":authority", b"\xff\xfe"), (b":scheme", b"\xff")):
        yield (
            f"metadata: {name.decode()} not UTF-8",
            opening([*call_headers(path, without=name), (name, value)], END_HEADERS | END_STREAM),
        )
    yield "metadata: other content type", call(path, bytes(5), (b"content-type", b"text/html"))
    yield "metadata: 2,000 headers", call(path, bytes(5), *[(b"x", b"y")] * 2000)


def messages(path: bytes) -> Iterator[tuple[str, bytes]]:
    """Messages that are not what their prefix says."""
    bomb = gzip.compress(bytes(40_000_000))
    prefixed = {
        "truncated": b"\x00\x00\x00\x00\x09abc",
        "prefix cut": b"\x00\x00",
        "length that lies": b"\x00\xff\xff\xff\xff" + b"a" * 100,
        "just too long": b"\x00\x01\x00\x00\x01" + b"a" * 100,
        "compressed without encoding": b"\x01\x00\x00\x00\x03abc",
        "bad compression flag": b"\x02\x00\x00\x00\x00",
        "worst compression flag": b"\xff\x00\x00\x00\x00",
        "no protobuf": b"\x00\x00\x00\x00\x04\xff\xff\xff\xff",
        "two messages": bytes(10),
        "no message": b"",
    }
    for name, message in prefixed.items():
        yield f"message: {name}", call(path, message)
    gz = (b"grpc-encoding", b"gzip")
    yield "message: broken gzip", call(path, b"\x01\x00\x00\x00\x03abc", gz)
    parts = b"\x01" + len(bomb).to_bytes(4, "big") + bomb
    sent = [parts[at : at + 16_000] for at in range(0, len(parts), 16_000)]
    yield (
        "message: gzip bomb",
        opening(call_headers(path, gz))
        + b"".join(frame(DATA, 0, 1, part) for part in sent)
        + frame(DATA, END_STREAM, 1),
    )
    yield "message: none at all", opening(call_headers(path))
    yield "message: reset at once", opening(call_headers(path)) + frame(RST, 0, 1, bytes(4))


def frames(path: bytes) -> Iterator[tuple[str, bytes]]:
    """Frames out of order, out of size or out of reason."""
    head = block(call_headers(path))
    opened = opening(call_headers(path))
    named = {
        "continuation without headers": frame(CONTINUATION, END_HEADERS, 1, head),
        "continuation without end": frame(HEADERS, 0, 1, head)
        + frame(CONTINUATION, 0, 1, block([(b"x", b"y" * 900)])) * 300,
        "continuation of another stream": frame(HEADERS, 0, 1, head[:9])
        + frame(CONTINUATION, END_HEADERS, 3, head[9:]),
        "headers interrupted": frame(HEADERS, 0, 1, head) + frame(PING, 0, 0, bytes(8)),
        "headers in pieces": frame(HEADERS, 0, 1, head[:9])
        + frame(CONTINUATION, END_HEADERS, 1, head[9:])
        + frame(DATA, END_STREAM, 1, bytes(5)),
        "headers on stream 0": opening(call_headers(path), stream=0),
        "headers on an even stream": opening(call_headers(path), stream=2),
        "headers twice": opened + opened,
        "stream that goes back": opening(call_headers(path), stream=5) + opened,
        "padding beyond the frame": frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + head),
        "index 0": frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x80"),
        "index of nothing": frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\x7f"),
        "endless integer": frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" * 40),
        "huffman of nonsense": frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x00\x83\xff\xff\xff"),
        "table of 4 GiB": frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\xff\x0f" + head),
        "string beyond the frame": frame(HEADERS, END_HEADERS, 1, b"\x00\x7f\x7f" + b"a"),
        "data on an idle stream": frame(DATA, END_STREAM, 7, bytes(5)),
        "data on stream 0": frame(DATA, 0, 0, bytes(5)),
        "data after the end": call(path) + frame(DATA, 0, 1, bytes(5)),
        "data beyond the window": opened + frame(DATA, 0, 1, bytes(16_384)) * 80,
        "settings of a bad length": frame(SETTINGS, 0, 0, b"abc"),
        "settings on a stream": frame(SETTINGS, 0, 1),
        "settings ack with payload": frame(SETTINGS, 1, 0, bytes(6)),
        "settings with a window too large": frame(SETTINGS, 0, 0, b"\x00\x04\xff\xff\xff\xff"),
        "settings with frames of 0": frame(SETTINGS, 0, 0, b"\x00\x05\x00\x00\x00\x00"),
        "settings without headers": frame(SETTINGS, 0, 0, b"\x00\x06\x00\x00\x00\x00") + call(path),
        "settings without window": frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00") + call(path),
        "1,000 settings": frame(SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x64") * 1000,
        "reset of an idle stream": frame(RST, 0, 9, bytes(4)),
        "reset of stream 0": frame(RST, 0, 0, bytes(4)),
        "reset of a bad length": opened + frame(RST, 0, 1, b"a"),
        "ping of a bad length": frame(PING, 0, 0, b"abc"),
        "ping on a stream": frame(PING, 0, 1, bytes(8)),
        "2,000 pings": frame(PING, 0, 0, bytes(8)) * 2000,
        "ping answers to nothing": frame(PING, 1, 0, bytes(8)) * 100,
        "window of 0": frame(WINDOW, 0, 0, bytes(4)),
        "window overflow": frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 3,
        "window of a stream overflows": opened + frame(WINDOW, 0, 1, b"\x7f\xff\xff\xff") * 2,
        "window of a bad length": frame(WINDOW, 0, 0, b"a"),
        "go away": frame(GOAWAY, 0, 0, bytes(8)) + call(path),
        "go away of a bad length": frame(GOAWAY, 0, 0, b"a"),
        "priority of itself": frame(PRIORITY, 0, 1, b"\x00\x00\x00\x01\x10"),
        "push from a client": frame(PUSH, END_HEADERS, 1, b"\x00\x00\x00\x02" + head),
        "unknown type": frame(200, 255, 1, b"abc"),
        "frame too large": b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(70_000),
        "200 streams": b"".join(opening(call_headers(path), stream=i) for i in range(1, 400, 2)),
    }
    for name, data in named.items():
        yield f"frame: {name}", data


def beginnings(path: bytes) -> Iterator[tuple[str, bytes]]:
    """Connections that do not begin with HTTP/2's greeting."""
    yield "beginning: nothing", b""
    yield "beginning: half a preface", PREFACE[:9]
    yield "beginning: no settings", PREFACE + call(path)
    yield "beginning: HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "beginning: TLS", bytes.fromhex("160301020001") + bytes(range(256))
    yield "beginning: noise", random.Random(1).randbytes(20_000)


def fuzzed(path: bytes) -> Iterator[tuple[str, bytes]]:
    """Valid calls with some bytes changed, and frames of noise; the same every time."""
    for seed in range(_FUZZED):
        drawn = random.Random(seed)
        data = bytearray(call(path, bytes(5), (b"x-note", b"abc")) * 3)
        for _ in range(drawn.randint(1, 12)):
            data[drawn.randrange(len(data))] = drawn.randrange(256)
        noise = b"".join(
            frame(
                drawn.randrange(11),
                drawn.randrange(256),
                drawn.choice((0, 1, 2, 3)),
                drawn.randbytes(drawn.randrange(80)),
            )
            for _ in range(20)
        )
        yield f"fuzz {seed}: changed bytes", bytes(data)
        yield f"fuzz {seed}: frames of noise", noise
