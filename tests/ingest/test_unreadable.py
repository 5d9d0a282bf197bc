"""A message that cannot be read is told to its sender by a canonical code."""

import grpc
import pytest

from mesh.wire import OWN_CONNECTIONS
from tests.ingest.harness import Running, status_of

METHOD = "/sensus.ingest.v1.IngestService/"
BAD_UTF8 = b"\x0a\x03\xff\xfe\xfd"
NO_PROTOBUF = b"\xff\xff\xff"
UNREADABLE = ("INVALID_ARGUMENT", "MESSAGE_UNREADABLE")


@pytest.mark.parametrize("message", [BAD_UTF8, NO_PROTOBUF])
async def test_an_unreadable_request_is_invalid(shared: Running, message: bytes) -> None:
    call = shared.channel.unary_unary(f"{METHOD}WriteBatch")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(message)
    assert status_of(caught.value) == UNREADABLE


@pytest.mark.parametrize("method", ["WriteSamples", "Subscribe"])
async def test_an_unreadable_frame_ends_its_stream(shared: Running, method: str) -> None:
    call = shared.channel.stream_stream(f"{METHOD}{method}")()
    await call.write(NO_PROTOBUF)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert status_of(caught.value) == UNREADABLE


async def test_a_stranger_learns_nothing_about_its_message(shared: Running) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{shared.port}", OWN_CONNECTIONS) as channel:
        call = channel.unary_unary(f"{METHOD}WriteBatch")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(NO_PROTOBUF)
    assert status_of(caught.value) == ("UNAUTHENTICATED", "TOKEN_MISSING")
