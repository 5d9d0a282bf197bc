"""Asks ingest for alerts and samples."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import grpc
import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.clients import closing
from mesh.errors import InvalidInput, NotFound, translated
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from services.explainer.model.names import plain
from services.explainer.model.promql import bound_of_rule, metrics_in_words, metrics_of_rule
from services.explainer.model.subjects import SeriesSamples, SubjectFacts, SubjectKind, SubjectRef
from services.explainer.model.traces import Exemplar

if TYPE_CHECKING:
    from collections.abc import Sequence

ALERT_LEAD_MS: Final = 10 * 60_000
"""A rule waits before it fires: the cause may be older than the alert by that much."""

SEVERITY: Final = {
    series_pb2.SEVERITY_INFO: "info",
    series_pb2.SEVERITY_WARNING: "warning",
    series_pb2.SEVERITY_CRITICAL: "critical",
}
_RULES_KEPT: Final = 256
_TEXTS_KEPT: Final = 1024
_STATE: Final = {
    alert_pb2.ALERT_STATE_FIRING: "firing",
    alert_pb2.ALERT_STATE_RESOLVED: "resolved",
}


class IngestClient:
    """Reads from ingest. Failures are raised as the errors the server meant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Uses `channel` for every call."""
        self._stub: pb_grpc.IngestServiceAsyncStub = pb_grpc.IngestServiceStub(channel)

    async def alert(self, alert_id: str) -> SubjectFacts:
        """One alert as it stands.

        Raises:
            NotFound: There is none of that id, or it cannot be the id of one.
        """
        try:
            with translated():
                answer = await self._stub.GetAlert(pb.GetAlertRequest(alert_id=alert_id))
        except (InvalidInput, NotFound) as error:
            raise NotFound("alert", alert_id) from error
        return alert_facts(answer.alert)

    async def alerts(self, start_ms: int, end_ms: int, limit: int) -> list[SubjectFacts]:
        """Alerts that were firing after `start_ms` and began before `end_ms`, newest first."""
        request = pb.ListAlertsRequest(
            start_time=stamp(start_ms), end_time=stamp(end_ms), page_size=limit
        )
        with translated():
            answer = await self._stub.ListAlerts(request)
        return await asyncio.to_thread(lambda: [alert_facts(alert) for alert in answer.alerts])

    async def exemplars(self, selector: str, start_ms: int, end_ms: int) -> list[Exemplar]:
        """Exemplars from `start_ms` up to `end_ms` of the series that match.

        Raises:
            Overloaded: TOO_MANY_SERIES.
        """
        request = pb.QueryExemplarsRequest(
            selector=selector, start_time=stamp(start_ms), end_time=stamp(end_ms)
        )
        with translated():
            answer = await self._stub.QueryExemplars(request)
        return [
            Exemplar(time_ms=each.time.ToMilliseconds(), value=each.value, trace_id=each.trace_id)
            for series in answer.series
            for each in series.exemplars
        ]

    async def samples(
        self,
        selector: str,
        start_ms: int,
        end_ms: int,
        *,
        series_max: int,
        samples_max: int = 0,
        points_max: int = 0,
    ) -> list[SeriesSamples]:
        """Samples from `start_ms` up to `end_ms`, the newest `samples_max` of each; 0 for all.

        With `points_max` means of as many equal steps instead, where there are more samples.

        Raises:
            Overloaded: TOO_MANY_SERIES, more than `series_max` match.
        """
        request = pb.QuerySamplesRequest(
            selector=selector,
            start_time=stamp(start_ms),
            end_time=stamp(end_ms),
            max_series=series_max,
            max_samples_per_series=samples_max,
            max_points=points_max,
        )
        parts: dict[int, list[pb.SeriesSamples]] = {}
        with translated():
            async with closing(self._stub.QuerySamples(request)) as call:
                async for answer in call:
                    for part in answer.series:
                        parts.setdefault(part.series.series_id, []).append(part)
        return await asyncio.to_thread(lambda: [_joined(each) for each in parts.values()])


def alert_facts(alert: alert_pb2.Alert) -> SubjectFacts:
    """What an alert tells of itself."""
    labels = labels_of(alert.labels)
    annotations = labels_of(alert.annotations)
    return SubjectFacts(
        ref=SubjectRef(kind=SubjectKind.ALERT, id=alert.alert_id),
        state=_STATE.get(alert.state, ""),
        title=f"alert {plain(labels.get('alertname', alert.alert_id))}",
        severity=SEVERITY.get(alert.severity, "info"),
        labels=labels,
        metric_hints=_metric_hints(annotations, alert.generator_url),
        rule=next(filter(None, map(bound_of_rule, _rules(alert.generator_url))), None),
        event_ms=alert.start_time.ToMilliseconds(),
        lead_ms=ALERT_LEAD_MS,
        traceparent=alert.traceparent,
    )


def labels_of(labels: "Iterable[series_pb2.Label]") -> dict[str, str]:
    """A label set by name."""
    return {label.name: label.value for label in labels}


def stamp(milliseconds: int) -> Timestamp:
    """A time on the wire."""
    found = Timestamp()
    found.FromMilliseconds(max(0, milliseconds))
    return found


def _metric_hints(annotations: Mapping[str, str], generator_url: str) -> tuple[str, ...]:
    """What an annotation `metric` says, then the rule behind the alert, then other annotations."""
    metric = annotations.get("metric", "").strip()
    found = [metric] if metric else []
    found += [metric for rule in _rules(generator_url) for metric in metrics_of_rule(rule)]
    found += [metric for text in annotations.values() for metric in _in_words(text)]
    return tuple(dict.fromkeys(found))


@lru_cache(_TEXTS_KEPT)
def _in_words(text: str) -> list[str]:
    """Metrics that an annotation names; each explanation reads those of all alerts beside it."""
    return metrics_in_words([text])


@lru_cache(_RULES_KEPT)
def _rules(generator_url: str) -> list[str]:
    """What the link back to Prometheus says of the rule behind an alert; like alerts share it."""
    try:
        return parse_qs(urlsplit(generator_url).query).get("g0.expr", [])
    except ValueError:
        return []


def _joined(parts: "Sequence[pb.SeriesSamples]") -> SeriesSamples:
    return SeriesSamples(
        series_id=parts[0].series.series_id,
        labels=labels_of(parts[0].series.labels),
        timestamps_ms=np.concatenate([np.array(p.timestamps_ms, np.int64) for p in parts]),
        values=np.concatenate([np.array(p.values, np.float64) for p in parts]),
    )
