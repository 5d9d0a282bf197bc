"""The contract: each method checks, asks and encodes."""

import asyncio
from dataclasses import dataclass
from typing import Any

from mesh.auth import ADMIN, current_principal
from mesh.errors import NotFound, PermissionDenied
from sensus.notifier.v1 import notifier_service_pb2 as pb
from sensus.notifier.v1 import notifier_service_pb2_grpc as pb_grpc
from services.notifier.convert import answers, pages, requests
from services.notifier.feed import RoutingFeed
from services.notifier.queries import Queries
from services.notifier.routing.alertmanager import convert_config
from services.notifier.store import IntegrationStore, Notices, Routings, StoredRouting


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the methods ask."""

    queries: Queries
    feed: RoutingFeed
    notices: Notices
    routings: Routings
    integration_store: IntegrationStore


class NotifierServicer(pb_grpc.NotifierServiceServicer):
    """Answers; delivery happens beside it."""

    def __init__(self, parts: Parts) -> None:
        """Asks `parts`."""
        self._do = parts

    async def GetRouting(  # noqa: N802
        self, request: pb.GetRoutingRequest, context: Any
    ) -> pb.GetRoutingResponse:
        """The routing that holds, or an earlier version."""
        if not request.version:
            found: StoredRouting | None = await self._do.routings.newest()
        else:
            number = min(request.version, pages.FIRST)
            found = await self._do.routings.version(number)
        if found is None:
            raise NotFound("routing", str(request.version))
        return pb.GetRoutingResponse(routing=answers.routing_message(found))

    async def PutRouting(  # noqa: N802
        self, request: pb.PutRoutingRequest, context: Any
    ) -> pb.PutRoutingResponse:
        """Checks a text and makes it the routing."""
        _, faults, warnings = await self._do.queries.checked(request.yaml)
        requests.check_yaml(request.yaml, faults)
        if request.dry_run:
            stored = StoredRouting(yaml=request.yaml)
        else:
            stored = await self._do.routings.put(request.yaml, request.etag)
            await self._do.feed.refresh()
        return pb.PutRoutingResponse(routing=answers.routing_message(stored), warnings=warnings)

    async def ListRoutingVersions(  # noqa: N802
        self, request: pb.ListRoutingVersionsRequest, context: Any
    ) -> pb.ListRoutingVersionsResponse:
        """One page of versions."""
        size = pages.checked_size(request.page_size)
        before = pages.place_of(request.page_token, "versions")
        found = await self._do.routings.page(before, size + 1)
        token = pages.token_of(found[size - 1].version, "versions") if len(found) > size else ""
        versions = answers.routing_messages(found[:size])
        return pb.ListRoutingVersionsResponse(versions=versions, next_page_token=token)

    async def ImportAlertmanagerConfig(  # noqa: N802
        self, request: pb.ImportAlertmanagerConfigRequest, context: Any
    ) -> pb.ImportAlertmanagerConfigResponse:
        """A routing of an alertmanager.yml; nothing is stored."""
        yaml, lost, faults = await asyncio.to_thread(convert_config, request.yaml)
        requests.check_yaml(request.yaml, faults)
        named = [pb.LostSetting(path=path, reason=reason) for path, reason in lost]
        return pb.ImportAlertmanagerConfigResponse(yaml=yaml, lost=named)

    async def TestRouting(  # noqa: N802
        self, request: pb.TestRoutingRequest, context: Any
    ) -> pb.TestRoutingResponse:
        """Who would get a notice."""
        labels = requests.labels_of(request)
        routing, version = self._do.feed.routing, self._do.feed.version
        if request.yaml:
            if ADMIN not in current_principal().scopes:
                raise PermissionDenied("to try a routing of your own needs: admin")
            routing, faults, _ = await self._do.queries.checked(request.yaml)
            requests.check_yaml(request.yaml, faults)
            version = 0
        time_ms = request.time.ToMilliseconds() if request.HasField("time") else 0
        queries = self._do.queries
        incident, found = await queries.tried(routing, labels, request.incident_id, time_ms)
        matches = []
        for match, held_by in found:
            name = match.route.receiver
            texts = await queries.worded(routing, incident, name) if request.include_texts else []
            receiver = routing.receivers.get(name)
            matches.append(answers.match_message(match, receiver, held_by, texts))
        return pb.TestRoutingResponse(matches=matches, version=version)

    async def ListNotices(  # noqa: N802
        self, request: pb.ListNoticesRequest, context: Any
    ) -> pb.ListNoticesResponse:
        """One page, newest first, without attempts."""
        wanted = requests.wanted_of(request)
        size = pages.checked_size(request.page_size)
        before = pages.place_of(request.page_token, repr(wanted))
        found = await self._do.notices.page(wanted, before, size + 1)
        token = pages.token_of(found[size - 1].seq, repr(wanted)) if len(found) > size else ""
        notices = [answers.notice_message(each) for each in found[:size]]
        return pb.ListNoticesResponse(notices=notices, next_page_token=token)

    async def GetNotice(  # noqa: N802
        self, request: pb.GetNoticeRequest, context: Any
    ) -> pb.GetNoticeResponse:
        """One notice with its attempts."""
        found = await self._do.notices.get(requests.notice_id_of(request.notice_id))
        return pb.GetNoticeResponse(notice=answers.notice_message(found))

    async def ResendNotice(  # noqa: N802
        self, request: pb.ResendNoticeRequest, context: Any
    ) -> pb.ResendNoticeResponse:
        """Delivers a notice once more."""
        notice_id = requests.notice_id_of(request.notice_id)
        request_id = requests.request_id_of(request.request_id)
        sent = await self._do.queries.resend(notice_id, request_id)
        return pb.ResendNoticeResponse(notice=answers.notice_message(sent))

    async def SendTestNotice(  # noqa: N802
        self, request: pb.SendTestNoticeRequest, context: Any
    ) -> pb.SendTestNoticeResponse:
        """Tells a receiver that this is a test."""
        request_id = requests.request_id_of(request.request_id)
        sent = await self._do.queries.send_test(request.receiver, request_id)
        return pb.SendTestNoticeResponse(notices=[answers.notice_message(each) for each in sent])

    async def ListReceivers(  # noqa: N802
        self, request: pb.ListReceiversRequest, context: Any
    ) -> pb.ListReceiversResponse:
        """All receivers with how they are."""
        routing = self._do.feed.routing
        states, queues = (
            await self._do.integration_store.states(),
            await self._do.integration_store.queues(),
        )
        found = [
            answers.receiver_message(each, states, queues) for each in routing.receivers.values()
        ]
        return pb.ListReceiversResponse(receivers=found, fallback_receiver=routing.fallback)
