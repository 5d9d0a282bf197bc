"""IngestService on the wire: check, call, encode."""

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import grpc

from mesh.auth import Policy, current_principal, policies
from mesh.clock import Clock
from mesh.publisher import Publisher
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from services.ingest.alerts.episodes import Episodes
from services.ingest.alerts.severity import SeverityWords
from services.ingest.convert import (
    alert_watch,
    alerts,
    common,
    deliveries,
    query,
    remote_write,
    samples,
    subscribe,
)
from services.ingest.convert.page_tokens import (
    ALERT,
    NAME,
    NUMBER,
    page_of,
    position_in,
    token_after,
)
from services.ingest.query.exemplars import ExemplarQuerying
from services.ingest.query.samples import Querying
from services.ingest.store.alert_log import LoggedAlert
from services.ingest.store.alerts import AlertStore
from services.ingest.store.deliveries import DeliveryStore
from services.ingest.store.metadata import MetadataStore
from services.ingest.store.series import SeriesStore
from services.ingest.subscribe.subscriptions import Subscriptions
from services.ingest.write.intake import Intake
from services.ingest.write.remote_write import RemoteWrites
from services.ingest.write.stream import WriteStreams

FULL_NAME: Final = pb.DESCRIPTOR.services_by_name["IngestService"].full_name
_OFF_LOOP_BYTES: Final = 64 * 1024
"""Alerts above this are read in a thread: one may have 50,000 labels."""
ALWAYS_TRACED: Final = (f"/{FULL_NAME}/WriteAlerts",)


def access() -> Mapping[str, Policy]:
    """Who may call which method."""
    return policies([pb.DESCRIPTOR])


def register(parts: "Parts", server: grpc.aio.Server) -> None:
    """Serves the contract from `parts`."""
    pb_grpc.add_IngestServiceServicer_to_server(IngestServicer(parts), server)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the methods call."""

    intake: Intake
    write_streams: WriteStreams
    remote_writes: RemoteWrites
    episodes: Episodes
    severity_words: SeverityWords
    replica_labels: frozenset[str]
    alert_log: Publisher[LoggedAlert]
    querying: Querying
    exemplars: ExemplarQuerying
    subscriptions: Subscriptions
    series: SeriesStore
    metadata: MetadataStore
    alerts: AlertStore
    deliveries: DeliveryStore
    clock: Clock


class IngestServicer(pb_grpc.IngestServiceServicer):
    """The methods of the contract; errors are raised and mapped by the interceptors."""

    def __init__(self, parts: Parts) -> None:
        """Serves from `parts`."""
        self._parts = parts

    async def WriteSamples(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.WriteSamplesRequest], context: object
    ) -> AsyncIterator[pb.WriteSamplesResponse]:
        limits = self._parts.intake.limits
        frames = samples.Frames(request_iterator, limits)
        async for answer in self._parts.write_streams.serve(frames, current_principal().subject):
            yield samples.answer(answer, limits)

    async def WriteBatch(  # noqa: N802
        self, request: pb.WriteBatchRequest, context: object
    ) -> pb.WriteBatchResponse:
        intake = self._parts.intake
        producer_id = samples.producer_id(request.producer_id, current_principal())
        table = intake.table()
        incoming = samples.incoming(request.batch, intake.limits)
        samples.define(table, request.series)
        ack = await intake.write(producer_id, table, incoming)
        return pb.WriteBatchResponse(ack=samples.ack(ack))

    async def RemoteWrite(  # noqa: N802
        self, request: pb.RemoteWriteRequest, context: object
    ) -> pb.RemoteWriteResponse:
        version, caller = remote_write.version(request), current_principal().subject
        written = await self._parts.remote_writes.write(caller, version, request.body)
        return remote_write.answer(written)

    async def WriteAlerts(  # noqa: N802
        self, request: pb.WriteAlertsRequest, context: object
    ) -> pb.WriteAlertsResponse:
        parts = self._parts
        now_ms, future_ms = parts.clock.now_ms(), parts.intake.limits.future_ms
        reader = alerts.Reader(parts.severity_words, parts.replica_labels)
        read = functools.partial(reader.incoming, request, now_ms, future_ms)
        sent = await asyncio.to_thread(read) if request.ByteSize() > _OFF_LOOP_BYTES else read()
        receipt = await parts.episodes.write(sent.notices, sent.refusals, sent.warnings)
        return alerts.receipt(receipt)

    async def Subscribe(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.SubscribeRequest], context: object
    ) -> AsyncIterator[pb.SubscribeResponse]:
        frames = subscribe.frames(request_iterator)
        async for answer in self._parts.subscriptions.serve(frames):
            yield subscribe.answer(answer)

    async def QuerySamples(  # noqa: N802
        self, request: pb.QuerySamplesRequest, context: object
    ) -> AsyncIterator[pb.QuerySamplesResponse]:
        wanted = query.sample_query(request, self._parts.clock.now_ms())
        async for part in self._parts.querying.samples(wanted):
            yield query.samples(part)

    async def QueryExemplars(  # noqa: N802
        self, request: pb.QueryExemplarsRequest, context: object
    ) -> pb.QueryExemplarsResponse:
        wanted = query.exemplar_query(request, self._parts.clock.now_ms())
        return query.exemplars(await self._parts.exemplars.exemplars(wanted))

    async def ListSeries(  # noqa: N802
        self, request: pb.ListSeriesRequest, context: object
    ) -> pb.ListSeriesResponse:
        wanted = common.selector(request.selector)
        size = common.page_size(request.page_size)
        question = ("series", request.selector)
        after = position_in(request.page_token, question, NUMBER) or 0
        found = self._parts.series.matching(wanted, after)
        page = await page_of(found, size, question, lambda each: each.series_id)
        return pb.ListSeriesResponse(
            series=map(common.series, page.items), next_page_token=page.next_token
        )

    async def ListMetadata(  # noqa: N802
        self, request: pb.ListMetadataRequest, context: object
    ) -> pb.ListMetadataResponse:
        size = common.page_size(request.page_size)
        name = query.metric(request.metric)
        since_ms = query.changed_since_ms(request)
        question = ("metadata", name) if since_ms is None else ("metadata", name, since_ms)
        after = position_in(request.page_token, question, NAME) or ""
        found = await self._parts.metadata.page(name, after, size + 1, since_ms)
        token = token_after(question, found[size - 1].said.name) if len(found) > size else ""
        return pb.ListMetadataResponse(
            metadata=map(query.metadata, found[:size]), next_page_token=token
        )

    async def ListAlerts(  # noqa: N802
        self, request: pb.ListAlertsRequest, context: object
    ) -> pb.ListAlertsResponse:
        wanted = query.alert_filter(request)
        size = common.page_size(request.page_size)
        question = query.alert_question(request)
        after = position_in(request.page_token, question, ALERT)
        found = self._parts.alerts.matching(wanted, after, at_first=size + 1)
        page = await page_of(found, size, question, lambda a: (a.start_time_ms, a.alert_id))
        return pb.ListAlertsResponse(
            alerts=map(alerts.alert, page.items), next_page_token=page.next_token
        )

    async def CountAlerts(  # noqa: N802
        self, request: pb.CountAlertsRequest, context: object
    ) -> pb.CountAlertsResponse:
        found = await self._parts.alerts.count(query.alert_filter(request))
        return query.alert_counts(found)

    async def WatchAlerts(  # noqa: N802
        self, request: pb.WatchAlertsRequest, context: object
    ) -> AsyncIterator[pb.WatchAlertsResponse]:
        wanted = alert_watch.watch_query(request)
        watch = self._parts.alert_log.watch(wanted.after, wanted.wants, wanted.heartbeat_s)
        async with aclosing(watch) as frames:
            async for frame in frames:
                yield alert_watch.watch_frame(frame, self._parts.clock.now_ms())

    async def GetAlert(  # noqa: N802
        self, request: pb.GetAlertRequest, context: object
    ) -> pb.GetAlertResponse:
        alert, history = await self._parts.episodes.get(query.alert_id(request.alert_id))
        return pb.GetAlertResponse(alert=alerts.alert(alert), history=alerts.history(history))

    async def ListDeadLetters(  # noqa: N802
        self, request: pb.ListDeadLettersRequest, context: object
    ) -> pb.ListDeadLettersResponse:
        name = subscribe.subscription(request.subscription)
        size = common.page_size(request.page_size)
        question = ("dead letters", name)
        before = position_in(request.page_token, question, NUMBER)
        found = self._parts.deliveries.dead_letters(name, before)
        page = await page_of(found, size, question, lambda letter: letter.delivery_id)
        return pb.ListDeadLettersResponse(
            dead_letters=map(deliveries.dead_letter, page.items), next_page_token=page.next_token
        )

    async def RedriveDeadLetters(  # noqa: N802
        self, request: pb.RedriveDeadLettersRequest, context: object
    ) -> pb.RedriveDeadLettersResponse:
        name = subscribe.subscription(request.subscription)
        ids = deliveries.redrive_ids(request.delivery_ids)
        redriven = await self._parts.deliveries.redrive(name, ids)
        return pb.RedriveDeadLettersResponse(redriven=redriven)
