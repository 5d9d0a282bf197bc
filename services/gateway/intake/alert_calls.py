"""Calls of WriteAlerts: what one caller sends at the same time goes together."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Final

from mesh.auth import Principal
from mesh.errors import Unavailable
from mesh.telemetry.tracing import traceparent
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.gateway.clients import Clients

ALERTS_PER_CALL: Final = 1000
BYTES_PER_CALL: Final = 2 * 1024 * 1024

_AT_ONCE: Final = 2
"""Calls of one caller that run at the same time; what comes meanwhile shares the next one."""
_TOGETHER: Final = 256
_TOGETHER_BYTES: Final = 256 * 1024

_WRITE: Final = pb.DESCRIPTOR.services_by_name["IngestService"].methods_by_name["WriteAlerts"]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: pb.WriteAlertsRequest
    answer: "asyncio.Future[pb.WriteAlertsResponse]"
    context: Context
    traceparent: str


@dataclass(slots=True)
class _Line:
    running: int = 0
    waiting: deque[_Waiting] = field(default_factory=deque)


class AlertCalls:
    """Writes alerts in the name of their senders.

    An rpc costs more than the alert that a webhook brings. Under load those of a caller gather
    while its calls run, as ingest gathers them for a commit. Who is alone waits for nobody.
    """

    def __init__(self, clients: Clients) -> None:
        """Calls through `clients`."""
        self._clients = clients
        self._line_by_caller: dict[Principal, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(
        self, request: pb.WriteAlertsRequest, principal: Principal
    ) -> pb.WriteAlertsResponse:
        """Returns when the alerts are committed, at most ALERTS_PER_CALL of them.

        Raises:
            SensusError: What ingest, or the way to it, said; of a call that was shared, too.
        """
        line = self._line_by_caller.setdefault(principal, _Line())
        if line.running < _AT_ONCE:
            line.running += 1
            try:
                return await self._call(request, principal)
            finally:
                line.running -= 1
                self._go_on(line, principal)
        answer: asyncio.Future[pb.WriteAlertsResponse] = asyncio.get_running_loop().create_future()
        line.waiting.append(_Waiting(request, answer, copy_context(), traceparent()))
        return await answer

    async def _call(
        self, request: pb.WriteAlertsRequest, principal: Principal
    ) -> pb.WriteAlertsResponse:
        answer = await self._clients.unary(_WRITE, request, principal)
        assert isinstance(answer, pb.WriteAlertsResponse)  # noqa: S101
        return answer

    def _go_on(self, line: _Line, principal: Principal) -> None:
        if line.waiting and (group := _next_group(line.waiting)):
            line.running += 1
            # in the context of the first, whose trace the call belongs to
            task = asyncio.get_running_loop().create_task(
                self._shared(group, line, principal), context=group[0].context
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif not line.running:
            self._line_by_caller.pop(principal, None)

    async def _shared(self, group: Sequence[_Waiting], line: _Line, principal: Principal) -> None:
        try:
            await self._settle(group, principal)
        finally:
            line.running -= 1
            self._go_on(line, principal)

    async def _settle(self, group: Sequence[_Waiting], principal: Principal) -> None:
        try:
            answer = await self._call(_together(group), principal)
        except Exception as error:
            if len(group) == 1 or isinstance(error, Unavailable):
                _refuse(group, error)
                return
            for each in group:  # what is wrong with one must not take the others down
                await self._settle([each], principal)
        else:
            for each, part in zip(group, _apart(answer, group), strict=True):
                if not each.answer.done():
                    each.answer.set_result(part)


def _next_group(waiting: deque[_Waiting]) -> list[_Waiting]:
    """Those who wait longest and still do; at least one of them, however much it has."""
    group: list[_Waiting] = []
    count = size = 0
    while waiting:
        count += len(waiting[0].request.alerts)
        size += waiting[0].request.ByteSize()
        if group and (count > _TOGETHER or size > _TOGETHER_BYTES):
            break
        each = waiting.popleft()
        if not each.answer.done():
            group.append(each)
    return group


def _together(group: Sequence[_Waiting]) -> pb.WriteAlertsRequest:
    """One request; each alert keeps the trace of the request that brought it."""
    shared = pb.WriteAlertsRequest()
    for each in group:
        for alert in each.request.alerts:
            alert.traceparent = each.traceparent
        shared.alerts.MergeFrom(each.request.alerts)
    return shared


def _apart(
    answer: pb.WriteAlertsResponse, group: Sequence[_Waiting]
) -> list[pb.WriteAlertsResponse]:
    """What became of each one's alerts, by its own indices."""
    parts: list[pb.WriteAlertsResponse] = []
    start = 0
    for each in group:
        end = start + len(each.request.alerts)
        own = [index - start for index in answer.duplicate_indices if start <= index < end]
        part = pb.WriteAlertsResponse(
            duplicates=len(own), duplicate_indices=own, alert_ids=answer.alert_ids[start:end]
        )
        for error in answer.errors:
            if start <= error.index < end:
                part.errors.add(
                    index=error.index - start, reason=error.reason, message=error.message
                )
        for warning in answer.warnings:
            if start <= warning.index < end:
                part.warnings.add(
                    index=warning.index - start, reason=warning.reason, message=warning.message
                )
        part.accepted = end - start - len(own) - len(part.errors)
        parts.append(part)
        start = end
    return parts


def _refuse(group: Sequence[_Waiting], error: Exception) -> None:
    """An object of its own for each who waited: tracebacks of tasks must not mix."""
    for each in group:
        if not each.answer.done():
            own = error
            if isinstance(error, Unavailable):
                own = Unavailable(
                    error.message, reason=error.reason, retry_after_s=error.retry_after_s
                )
            each.answer.set_exception(own)
