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
        message = (
            f"rows of shard {frame.shard} at {frame.cursor} are no multiple of {EVENT.itemsize}"
        )
        raise Unavailable(message, reason="DELIVERY_INVALID")
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


def _names(sent: pb.EventNames) -> Names:
    return Names(
        operations={each.id: Named(each.service, each.name) for each in sent.operations},
        addresses={each.id: Named("", each.name) for each in sent.addresses},
        patterns={each.id: Named(each.service, each.text) for each in sent.patterns},
        exceptions={each.id: Named("", each.type) for each in sent.exceptions},
        instances={
            each.id: Instance(
                service=each.service,
                version=each.version,
                instance=each.instance,
                environment=each.environment,
            )
            for each in sent.instances
        },
    )


def _example(sent: pb.EventExample, names: Names) -> Example:
    operation = names.operations.get(sent.operation, Named("", ""))
    return Example(
        operation=sent.operation,
        exception=sent.exception,
        pattern=sent.pattern,
        service=operation.service,
        name=operation.name,
        type=names.exceptions.get(sent.exception, Named("", "")).name,
        message=sent.message,
        frames=tuple(sent.frames),
        trace_id=sent.trace_id,
        span_id=sent.span_id,
        time_ns=sent.time_ns,
    )
