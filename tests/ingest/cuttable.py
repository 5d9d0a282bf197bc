"""A service whose stores can be cut off, and a sender that goes on until it is acknowledged."""

import time
from dataclasses import dataclass
from typing import Any

import grpc

from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, batch_request, until
from tests.ingest.valve import Valve

NOW = int(time.time() * 1000)


@dataclass(kw_only=True)
class Cuttable:
    """A service whose stores can be cut off."""

    service: Running
    database: Valve
    redis: Valve
    redis_url: str


def one(sequence: int) -> pb.WriteBatchRequest:
    """A batch of one sample, whose value is its sequence."""
    return batch_request("p", sequence, [(1, NOW - 1000 + sequence, float(sequence))])


async def write_through(service: Running, request: pb.WriteBatchRequest) -> pb.WriteAck:
    """Sends until it is acknowledged, as a good sender does."""
    return (await until(lambda: answered(service.stub.WriteBatch, request))).ack


async def answered(method: Any, request: Any) -> Any:
    """The answer of one attempt; None while the store cannot be reached."""
    try:
        return await method(request)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return None
