"""Compressed bodies of telemetry, unpacked into a buffer whose size is known before."""

import zlib
from typing import Final

import cramjam

from mesh.errors import InvalidInput
from services.gateway.http.problems import BodyTooLarge, UnsupportedMediaType

MOST_BYTES: Final = 15 * 1024 * 1024
"""Of a body after unpacking: with what is around it, it must fit into a message to ingest."""

MOST_MEMBERS: Final = 64
"""Of a gzip body: what is behind each is copied."""

_GZIP: Final = 16 + zlib.MAX_WBITS


def unsnapped(body: bytes) -> bytes:
    """A body in the block format of snappy.

    The length that it claims is read first: nothing is unpacked that claims too much.

    Raises:
        BodyTooLarge: It is longer than MOST_BYTES.
        InvalidInput: BODY_BROKEN.
    """
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > MOST_BYTES:
            raise _too_large()
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise _broken("snappy") from error


def unpacked(body: bytes, encoding: str) -> bytes:
    """A body as its Content-Encoding says.

    Raises:
        BodyTooLarge: It is longer than MOST_BYTES.
        InvalidInput: BODY_BROKEN.
        UnsupportedMediaType: Another encoding than gzip, zstd or none.
    """
    match encoding:
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return inflated(body, MOST_BYTES, _GZIP)
        case "zstd":
            return _unzstd(body)
    rule = f"Content-Encoding {encoding[:20]!r}: send gzip, zstd or none"
    raise UnsupportedMediaType(rule)


def inflated(body: bytes, max_bytes: int, window_bits: int) -> bytes:
    """All members of a gzip body, joined. `window_bits` as zlib has it: which formats are read.

    Raises:
        BodyTooLarge: They are longer than `max_bytes` together, or more than MOST_MEMBERS.
        InvalidInput: BODY_BROKEN, what is behind a member is none, or the last one is cut.
    """
    parts, room = list[bytes](), max_bytes
    for _ in range(MOST_MEMBERS):
        inflater = zlib.decompressobj(window_bits)
        try:
            parts.append(inflater.decompress(body, room + 1))
        except zlib.error as error:
            raise _broken("gzip") from error
        room -= len(parts[-1])
        if room < 0:
            raise _too_large(max_bytes)
        if not inflater.eof:
            raise _broken("gzip")
        body = inflater.unused_data.lstrip(b"\0")  # a member may be padded with zeros
        if not body:
            return b"".join(parts)
    raise BodyTooLarge(f"the body has more than {MOST_MEMBERS} gzip members: send it as one")


def _unzstd(body: bytes) -> bytes:
    """Begins with a buffer of a usual ratio: most bodies never need the largest one."""
    for size in (min(MOST_BYTES, 16 * len(body)), MOST_BYTES + 1):
        buffer = bytearray(size)
        try:
            used = cramjam.zstd.decompress_into(body, buffer)
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise _broken("zstd") from error
            continue
        if used > MOST_BYTES:
            break
        return bytes(buffer[:used])
    raise _too_large()


def _too_large(max_bytes: int = MOST_BYTES) -> BodyTooLarge:
    rule = f"the body unpacks to more than {max_bytes} bytes: send it in parts"
    return BodyTooLarge(rule, metadata={"max_bytes": str(max_bytes)})


def _broken(encoding: str) -> InvalidInput:
    return InvalidInput(f"the body is not valid {encoding}: send it again", reason="BODY_BROKEN")
