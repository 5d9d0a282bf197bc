"""Who calls whom, as the labels of series tell it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from services.explainer.model.case import ServiceGraph
from services.explainer.model.names import plain
from services.explainer.model.windows import SeriesWindow

PAIRS: Final = (
    ("client", "server"),
    ("source_workload", "destination_workload"),
    ("source_service", "destination_service"),
    ("source", "destination"),
)
"""Labels of caller and callee: of service graphs made from traces, and of service meshes."""


def call_of(labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Caller and callee of a series that measures calls between two services.

    >>> call_of({"__name__": "requests_total", "client": "web", "server": "cart"})
    ('web', 'cart')
    """
    for caller, callee in PAIRS:
        if labels.get(caller) and labels.get(callee):
            return plain(labels[caller]), plain(labels[callee])
    if labels.get("peer") and labels.get("service"):
        return plain(labels["peer"]), plain(labels["service"])
    return None


def attributed(window: SeriesWindow) -> SeriesWindow:
    """A series of calls belongs to the callee and names its caller as `peer`; others stay."""
    call = call_of(window.labels)
    if call is None:
        return window
    caller, callee = call
    return replace(window, labels={**window.labels, "peer": caller}, service=callee)


def graph_of(
    series: Sequence[Mapping[str, str]], reported: Iterable[tuple[str, str]] = ()
) -> ServiceGraph:
    """The graph of all calls that these label sets tell of, and of those that were told."""
    calls = [call for call in map(call_of, series) if call]
    calls += [(plain(caller), plain(callee)) for caller, callee in reported]
    return ServiceGraph(edges=frozenset(call for call in calls if call[0] != call[1]))
