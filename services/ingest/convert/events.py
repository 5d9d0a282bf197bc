"""Deliveries of events."""

from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.convert.common import timestamp
from services.ingest.model.events import Example, Names
from services.ingest.subscribe.frames import EventDelivery


def event_delivery(known: EventDelivery) -> pb.EventDelivery:
    """A delivery for the wire."""
    segment = known.segment
    return pb.EventDelivery(
        shard=segment.shard,
        cursor=segment.offset,
        epoch=known.epoch,
        commit_time=timestamp(segment.commit_time_ms),
        rows=segment.events.tobytes(),
        names=_names(segment.names),
        examples=map(_example, segment.examples),
        traceparents=segment.traceparents,
    )


def _names(names: Names) -> pb.EventNames:
    return pb.EventNames(
        operations=[
            pb.OperationName(id=number, service=each.service, name=each.name)
            for number, each in names.operations.items()
        ],
        addresses=[
            pb.AddressName(id=number, name=each) for number, each in names.addresses.items()
        ],
        instances=[
            pb.InstanceName(
                id=number,
                service=each.service,
                version=each.version,
                instance=each.instance,
                environment=each.environment,
            )
            for number, each in names.instances.items()
        ],
        patterns=[
            pb.LogPatternName(id=number, service=each.service, text=each.text)
            for number, each in names.patterns.items()
        ],
        exceptions=[
            pb.ExceptionName(id=number, type=each) for number, each in names.exceptions.items()
        ],
    )


def _example(known: Example) -> pb.EventExample:
    return pb.EventExample(
        trace_id=known.trace_id,
        span_id=known.span_id,
        time_ns=known.time_ns,
        operation=known.operation,
        pattern=known.pattern,
        exception=known.exception,
        message=known.message,
        frames=known.frames,
    )
