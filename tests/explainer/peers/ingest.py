"""Ingest as the explainer meets it: scripted alerts, series and deliveries."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from mesh import selector as selectors
from mesh.errors import NotFound, Overloaded
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from services.explainer.wiring import INGEST
from tests.explainer.peers.faults import Faults
from tests.explainer.peers.material import Stored, labels
from tests.explainer.peers.serving import served

SERIES_PER_ANSWER = 25


class Ingest(ingest_grpc.IngestServiceServicer):
    """Alerts and series by script; deliveries come from `deliver`."""

    def __init__(self) -> None:
        """Empty."""
        self.alerts: dict[str, alert_pb2.Alert] = {}
        self.series: list[Stored] = []
        self.faults = Faults()
        self.acked: list[str] = []
        self.nacked: list[ingest_pb.SubscribeNack] = []
        self.opened: list[ingest_pb.SubscribeOpen] = []
        self.queries: list[str] = []
        self.exemplars: list[ingest_pb.Exemplar] = []
        self.exemplar_queries: list[str] = []
        self.credit = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.draining = asyncio.Event()
        self._waiting: list[ingest_pb.AlertDelivery] = []
        self._changed = asyncio.Event()

    def deliver(self, alert: alert_pb2.Alert, delivery_id: str, attempt: int = 1) -> None:
        """Puts a delivery into the subscription."""
        self._waiting.append(
            ingest_pb.AlertDelivery(delivery_id=delivery_id, attempt=attempt, alert=alert)
        )
        self._ring()

    async def GetAlert(self, request: ingest_pb.GetAlertRequest, context: Any) -> Any:
        """By id."""
        await self.faults.meet("GetAlert")
        if request.alert_id not in self.alerts:
            raise NotFound("alert", request.alert_id)
        return ingest_pb.GetAlertResponse(alert=self.alerts[request.alert_id])

    async def ListAlerts(self, request: ingest_pb.ListAlertsRequest, context: Any) -> Any:
        """All of them."""
        await self.faults.meet("ListAlerts")
        return ingest_pb.ListAlertsResponse(alerts=self.alerts.values())

    async def QuerySamples(
        self, request: ingest_pb.QuerySamplesRequest, context: Any
    ) -> AsyncIterator[ingest_pb.QuerySamplesResponse]:
        """Whatever the selector matches, in two parts per series."""
        self.queries.append(request.selector)
        await self.faults.meet("QuerySamples")
        wanted = selectors.parse(request.selector)
        found = [
            (series_id, each)
            for series_id, each in enumerate(self.series, start=1)
            if wanted.matches(each.labels)
        ]
        if len(found) > request.max_series:
            raise Overloaded("too many series", reason="TOO_MANY_SERIES")
        parts = [
            _samples(series_id, each, part)
            for series_id, each in found
            for part in (slice(None, 100), slice(100, None))
        ]
        for start in range(0, len(parts), SERIES_PER_ANSWER):
            end = start + SERIES_PER_ANSWER
            yield ingest_pb.QuerySamplesResponse(series=parts[start:end])

    async def QueryExemplars(
        self, request: ingest_pb.QueryExemplarsRequest, context: Any
    ) -> ingest_pb.QueryExemplarsResponse:
        """Those of the script within the time, as of one series."""
        self.exemplar_queries.append(request.selector)
        await self.faults.meet("QueryExemplars")
        start, end = request.start_time.ToMilliseconds(), request.end_time.ToMilliseconds()
        found = [each for each in self.exemplars if start <= each.time.ToMilliseconds() < end]
        one = ingest_pb.SeriesExemplars(exemplars=found)
        return ingest_pb.QueryExemplarsResponse(series=[one] if found else [])

    async def Subscribe(
        self, requests: AsyncIterator[ingest_pb.SubscribeRequest], context: Any
    ) -> AsyncIterator[ingest_pb.SubscribeResponse]:
        """Delivers within the credit, and notes acks and nacks; a nack comes again."""
        first = await anext(requests)
        self.opened.append(first.open)
        self.credit = first.open.initial_credit.samples
        listening = asyncio.create_task(self._listen(requests))
        try:
            opened = ingest_pb.SubscribeOpened(session_id="s1", shard_count=1)
            yield ingest_pb.SubscribeResponse(opened=opened)
            while not (self.draining.is_set() or listening.done()):
                while self._waiting and self.credit:
                    self.credit -= 1
                    self.in_flight += 1
                    self.most_in_flight = max(self.most_in_flight, self.in_flight)
                    yield ingest_pb.SubscribeResponse(alert=self._waiting.pop(0))
                await self._changed.wait()
                self._changed.clear()
            if self.draining.is_set():
                yield ingest_pb.SubscribeResponse(draining=ingest_pb.Draining())
                await listening
        finally:
            listening.cancel()

    async def _listen(self, requests: AsyncIterator[ingest_pb.SubscribeRequest]) -> None:
        async for frame in requests:
            self.credit += frame.credit.samples
            self.acked += frame.ack.delivery_ids
            self.in_flight -= len(frame.ack.delivery_ids) + len(frame.nack.delivery_ids)
            if frame.HasField("nack"):
                self.nacked.append(frame.nack)
            self._ring()
        self._ring()

    def _ring(self) -> None:
        self._changed.set()


def _samples(series_id: int, stored: Stored, part: slice) -> ingest_pb.SeriesSamples:
    series = series_pb2.Series(series_id=series_id, labels=labels(stored.labels))
    return ingest_pb.SeriesSamples(
        series=series, timestamps_ms=stored.timestamps_ms[part], values=stored.values[part]
    )


def served_ingest(ingest: Ingest) -> Any:
    """Ingest on a free port."""
    return served(INGEST, lambda s: ingest_grpc.add_IngestServiceServicer_to_server(ingest, s))
