"""Spans, and the trace context that travels in headers and in messages."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, Span, SpanKind, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes, AttributeValue

SAMPLE: Final = "sensus.sample"
"""Attribute `always`: the span is kept whatever the ratio says. Alerts and anomalies carry it."""

LINKS_MAX: Final = 128

_propagator: Final = TraceContextTextMapPropagator()

tracer: Final = trace.get_tracer("sensus")


class PrioritySampler(Sampler):
    """Keeps what is marked `always`, follows the parent, and keeps a share of all other traces."""

    def __init__(self, ratio: float) -> None:
        """`ratio` of the traces without a parent is kept, 0 to 1."""
        self._otherwise = ParentBased(TraceIdRatioBased(ratio))

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decides at the start of a span."""
        if attributes and attributes.get(SAMPLE) == "always":
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return self._otherwise.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Shown in the provider's own description."""
        return "PrioritySampler"


def provider(service: str, sample_ratio: float, *, is_exported: bool = True) -> TracerProvider:
    """A provider that names its spans' process `sensus-<service>`.

    Spans that nobody exports have ids for logs and for others, and record nothing.
    """
    resource = Resource.create({"service.name": f"sensus-{service}"})
    sampler = PrioritySampler(sample_ratio) if is_exported else ALWAYS_OFF
    return TracerProvider(sampler=sampler, resource=resource)


def traceparent() -> str:
    """The W3C form of the current span, to be carried in a message; empty when there is none."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


def parent_of(traceparent: str) -> Context:
    """The context of a span elsewhere; a text that is not a traceparent gives an empty one."""
    if not traceparent:
        return Context()
    return _propagator.extract({"traceparent": traceparent}, context=Context())


def link_of(traceparent: str) -> Link | None:
    """A link to a span elsewhere, if the text names one."""
    context = trace.get_current_span(parent_of(traceparent)).get_span_context()
    return Link(context) if context.is_valid else None


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str = "",
    links: Sequence[str] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
    always_sample: bool = False,
) -> Iterator[Span]:
    """Runs the block in a span; an exception marks it as an error, a cancellation does not.

    Args:
        name: What is done; no ids in it.
        kind: The part it plays: PRODUCER at an append, CONSUMER where that is processed.
        parent: The traceparent a message carried; without one, the current span is the parent.
        links: Traceparents of what the block works on, the first 128 different ones are kept.
        attributes: Values to search by.
        always_sample: Keeps the span whatever the ratio; for alerts and anomalies.
    """
    named = dict(attributes or {}) | ({SAMPLE: "always"} if always_sample else {})
    unique = list(dict.fromkeys(links))[:LINKS_MAX]
    with tracer.start_as_current_span(
        name,
        context=parent_of(parent) if parent else None,
        kind=kind,
        attributes=named,
        links=[link for each in unique if (link := link_of(each))],
    ) as opened:
        yield opened
