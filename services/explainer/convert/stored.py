"""From stored explanations to the wire."""

from collections.abc import Sequence
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.convert.answers import STATE, group, subject
from services.explainer.model.explanation import Record


def stored(record: Record) -> pb.Explanation:
    """An explanation with its evidence; while it runs, what is known of it."""
    if record.result is None:
        return _running(record)
    return _grouped(pb.Explanation.FromString(record.result), record)


def headline_of(record: Record) -> pb.Explanation:
    """An explanation without its evidence."""
    if record.headline is None:
        return _running(record)
    return _grouped(pb.Explanation.FromString(record.headline), record)


def listing(records: Sequence[Record], next_page_token: str) -> pb.ListExplanationsResponse:
    """One page."""
    return pb.ListExplanationsResponse(
        explanations=[headline_of(record) for record in records], next_page_token=next_page_token
    )


def keepalive(explanation_id: UUID) -> pb.ExplainResponse:
    """Says that the work goes on; it has no sequence and is never stored."""
    return pb.ExplainResponse(explanation_id=str(explanation_id), keepalive=pb.Keepalive())


def _grouped(explanation: pb.Explanation, record: Record) -> pb.Explanation:
    """With the size that its group has by now."""
    if record.group is not None:
        explanation.group.CopyFrom(group(record.group))
    return explanation


def _running(record: Record) -> pb.Explanation:
    begun = Timestamp()
    begun.FromMicroseconds(record.create_us)
    return pb.Explanation(
        explanation_id=str(record.explanation_id),
        subject=subject(record.ref),
        state=STATE[record.state],
        trace_id=record.trace_id,
        create_time=begun,
    )
