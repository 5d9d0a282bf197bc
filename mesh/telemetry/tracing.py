"""Spans, and the trace context that travels in headers and in messages."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from random import getrandbits
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes, AttributeValue

SAMPLE: Final = "sensus.sample"
"""Attribute `always`: the span is kept whatever the ratio says. Alerts and anomalies carry it."""

LINKS_MAX: Final = 128

_propagator: Final = TraceContextTextMapPropagator()

_FLAGS: Final = {False: TraceFlags(0), True: TraceFlags(TraceFlags.RANDOM_TRACE_ID)}

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


def provider(service: str, sample_ratio: float) -> TracerProvider:
    """A provider that names its spans' process `sensus-<service>`."""
    resource = Resource.create({"service.name": f"sensus-{service}"})
    return TracerProvider(sampler=PrioritySampler(sample_ratio), resource=resource)


class UnexportedTraces(trace.TracerProvider):
    """Spans that nobody exports: they have ids for logs and for others, and record nothing.

    The SDK would ask its sampler and check everything: five times what the ids cost.
    """

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        """One for all."""
        return _unexported

    def shutdown(self) -> None:
        """There is nothing to flush."""


class _UnexportedTracer(trace.Tracer):
    def start_span(self, name: str, context: Context | None = None, *_: Any, **__: Any) -> Span:
        parent = trace.get_current_span(context).get_span_context()
        of_trace = parent if parent.is_valid else None
        return trace.NonRecordingSpan(
            SpanContext(
                of_trace.trace_id if of_trace else getrandbits(128) or 1,
                getrandbits(64) or 1,
                is_remote=False,
                trace_flags=_FLAGS[of_trace.trace_flags.random_trace_id if of_trace else True],
                trace_state=of_trace.trace_state if of_trace else None,
            )
        )

    def start_as_current_span(  # type: ignore[override]
        self, name: str, context: Context | None = None, *_: Any, **__: Any
    ) -> AbstractContextManager[Span]:
        return _Current(self.start_span(name, context))


class _Current:
    """A context in which a span is the current one."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._token = attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, *_: object) -> None:
        detach(self._token)


_unexported: Final = _UnexportedTracer()


def _is_unexported() -> bool:
    return isinstance(trace.get_tracer_provider(), UnexportedTraces)


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


def current(
    name: str,
    context: Context | None,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue],
    links: Sequence[Link] = (),
    *,
    end_on_exit: bool = True,
) -> AbstractContextManager[Span]:
    """A span that is the current one in the block."""
    if _is_unexported():
        return _unexported.start_as_current_span(name, context)
    return tracer.start_as_current_span(
        name, context, kind, dict(attributes), links, end_on_exit=end_on_exit
    )


def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str = "",
    links: Sequence[str] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
    always_sample: bool = False,
) -> AbstractContextManager[Span]:
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
    unique = [] if _is_unexported() else list(dict.fromkeys(links))[:LINKS_MAX]
    found = [link for each in unique if (link := link_of(each))]
    return current(name, parent_of(parent) if parent else None, kind, named, found)
