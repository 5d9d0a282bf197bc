"""Frames of Subscribe as events of the domain."""

from typing import Final

from mesh.errors import Unavailable
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.topology.model.deliveries import Delivery
from services.topology.model.events import EVENT, events_of
from services.topology.model.names import Example, Instance, Named, Names

_NAME_BYTES: Final = 128
_EXAMPLE_BYTES: Final = 1024


def delivery(frame: pb.EventDelivery) -> Delivery:
    """The events of a delivery; its rows share the memory of the frame.

    Raises:
        Unavailable: The rows are cut; a new stream may do better.
    """
    if len(frame.rows) % EVENT.itemsize:
        told = f"rows of shard {frame.shard} at {frame.cursor} are no multiple of {EVENT.itemsize}"
        raise Unavailable(told, reason="DELIVERY_INVALID")
    names = _names(frame.names)
    named = sum(map(len, names.by_kind().values())) + len(names.instances)
    return Delivery(
        shard=frame.shard,
        epoch=frame.epoch,
        cursor=frame.cursor,
        commit_s=frame.commit_time.seconds,
        events=events_of(frame.rows),
        names=names,
        examples=[_example(each, names) for each in frame.examples],
        size_bytes=len(frame.rows) + _NAME_BYTES * named + _EXAMPLE_BYTES * len(frame.examples),
        traceparents=tuple(frame.traceparents),
    )


def _names(told: pb.EventNames) -> Names:
    return Names(
        operations={each.id: Named(each.service, each.name) for each in told.operations},
        addresses={each.id: Named("", each.name) for each in told.addresses},
        patterns={each.id: Named(each.service, each.text) for each in told.patterns},
        exceptions={each.id: Named("", each.type) for each in told.exceptions},
        instances={
            each.id: Instance(
                service=each.service,
                version=each.version,
                instance=each.instance,
                environment=each.environment,
            )
            for each in told.instances
        },
    )


def _example(told: pb.EventExample, names: Names) -> Example:
    operation = names.operations.get(told.operation, Named("", ""))
    return Example(
        operation=told.operation,
        exception=told.exception,
        pattern=told.pattern,
        service=operation.service,
        name=operation.name,
        type=names.exceptions.get(told.exception, Named("", "")).name,
        message=told.message,
        frames=tuple(told.frames),
        trace_id=told.trace_id,
        span_id=told.span_id,
        time_ns=told.time_ns,
    )
