"""POST /api/v1/alerts and POST /api/v1/metrics."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import Policy
from mesh.clock import Clock
from mesh.errors import InvalidInput
from services.gateway.clients import Clients
from services.gateway.foreign.alertmanager import SentAlert, SentWebhook, read_alerts
from services.gateway.foreign.samples import SentItem, read_samples
from services.gateway.http.bodies import OFF_LOOP_BYTES, json_response, read_json
from services.gateway.http.endpoint import Endpoint, Operation, principal_of
from services.gateway.intake import Producer, repeatable, write_alerts, write_samples
from services.gateway.model import Refusal

T = TypeVar("T")

_WRITE_ALERTS: Final = Policy(any_of=frozenset({"write:alerts"}))
_WRITE_SAMPLES: Final = Policy(any_of=frozenset({"write:samples"}))
_KEY_LONGEST: Final = 255


class ItemError(msgspec.Struct, kw_only=True):
    """One item that was not taken: its place, why, and whether it may be taken later."""

    index: int
    reason: str
    message: str
    retryable: bool


class SamplesTaken(msgspec.Struct, kw_only=True):
    """What became of the samples. All counted ones are durable."""

    accepted: int
    duplicates: int
    errors: list[ItemError]


class AlertsTaken(SamplesTaken, rename="camel", kw_only=True):
    """What became of the alerts; the ids by index, empty where one was refused."""

    alert_ids: list[str]


_ALERTS: Final = Operation(
    tag="Intake",
    name="PostAlerts",
    summary="Takes a webhook of Alertmanager (version 4), or an array of Prometheus alerts",
    description=(
        "200 only after everything that is counted is durable. One bad alert spoils no other: it "
        "is named by its index. 400 when none was taken. 503 with Retry-After when the alerts "
        "cannot be committed now, or when the sender is over its limit: send all of them again."
    ),
    body=SentWebhook | list[SentAlert],
    answer=AlertsTaken,
)
_METRICS: Final = Operation(
    tag="Intake",
    name="PostMetrics",
    summary="Takes one sample or an array of samples",
    description=(
        "timestamp is RFC 3339 or seconds since 1970, now when absent. metric_value may be the "
        'strings "NaN", "+Inf" and "-Inf". A request with an Idempotency-Key counts once however '
        "often it is sent within a day."
    ),
    body=SentItem | list[SentItem],
    answer=SamplesTaken,
    parameters=(
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": f"1 to {_KEY_LONGEST} characters, chosen by the sender",
            "schema": {"type": "string", "maxLength": _KEY_LONGEST},
        },
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeRoutes:
    """Takes what HTTP senders bring."""

    clients: Clients
    producer: Producer
    clock: Clock

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        return [
            Endpoint(
                method="POST",
                path="/api/v1/alerts",
                policy=_WRITE_ALERTS,
                handle=self._alerts,
                operation=_ALERTS,
            ),
            Endpoint(
                method="POST",
                path="/api/v1/metrics",
                policy=_WRITE_SAMPLES,
                handle=self._samples,
                operation=_METRICS,
            ),
        ]

    async def _alerts(self, request: Request) -> Response:
        """200 only when every good alert is committed; 503 when that cannot be said."""
        read = await self._read(request, read_alerts)
        intake = await write_alerts(self.clients, principal_of(request), read)
        return json_response(
            AlertsTaken(
                accepted=intake.accepted,
                duplicates=intake.duplicates,
                errors=[_error(refusal) for refusal in intake.refusals],
                alert_ids=list(intake.ids),
            )
        )

    async def _samples(self, request: Request) -> Response:
        read = await self._read(request, read_samples)
        intake = await write_samples(
            self.clients, principal_of(request), read, self._origin(request)
        )
        return json_response(
            SamplesTaken(
                accepted=intake.accepted,
                duplicates=intake.duplicates,
                errors=[_error(refusal) for refusal in intake.refusals],
            )
        )

    async def _read(self, request: Request, reader: Callable[[bytes, int], Iterable[T]]) -> list[T]:
        body, now_ms = await read_json(request), self.clock.now_ms()
        if len(body) > OFF_LOOP_BYTES:
            return await asyncio.to_thread(lambda: list(reader(body, now_ms)))
        return list(reader(body, now_ms))

    def _origin(self, request: Request) -> tuple[str, int]:
        key = request.headers.get("idempotency-key")
        if key is None:
            return self.producer.next()
        if not 0 < len(key) <= _KEY_LONGEST:
            told = f"Idempotency-Key: 1 to {_KEY_LONGEST} characters"
            raise InvalidInput(told, reason="INVALID_IDEMPOTENCY_KEY")
        return repeatable(principal_of(request).subject, key)


def _error(refusal: Refusal) -> ItemError:
    return ItemError(
        index=refusal.index,
        reason=refusal.reason,
        message=refusal.message,
        retryable=refusal.retryable,
    )
