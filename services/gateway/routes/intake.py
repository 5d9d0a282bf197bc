"""POST /api/v1/alerts, /api/v2/alerts and /api/v1/metrics."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import Policy
from mesh.clock import Clock
from mesh.errors import InvalidInput
from services.gateway.clients import Clients
from services.gateway.http.bodies import JsonResponse, off_loop
from services.gateway.http.endpoint import Endpoint, Operation, Rate, principal_of
from services.gateway.http.problems import IdempotencyKeyReused
from services.gateway.intake.alert_calls import AlertCalls
from services.gateway.intake.alert_forms import SentAlert, SentWebhook
from services.gateway.intake.alerts import AlertOutcome, write_alerts
from services.gateway.intake.bodies import read_body
from services.gateway.intake.outcome import Outcome, Refusal
from services.gateway.intake.samples import (
    Origin,
    Producer,
    SentItem,
    repeatable,
    write_samples,
)
from services.gateway.intake.tally import Tally
from services.gateway.middleware.answer_time import wait_longer
from services.gateway.store import IdempotencyStore

_WRITE_ALERTS: Final = Policy(any_of=frozenset({"write:alerts"}))
_WRITE_SAMPLES: Final = Policy(any_of=frozenset({"write:samples"}))
_KEY_LONGEST: Final = 255
_PART_S: Final = 8.0
"""A notice is written in parts, and each of them may take so long."""


class ItemError(msgspec.Struct, kw_only=True):
    """One item that was not taken: its place, why, and whether it may be taken later."""

    index: int
    reason: str
    message: str
    retryable: bool


class ItemWarning(msgspec.Struct, kw_only=True):
    """What was mended in one item that was taken: its place, and what to change."""

    index: int
    reason: str
    message: str


class SamplesResult(msgspec.Struct, kw_only=True):
    """What became of the samples. All counted ones are durable."""

    accepted: int
    duplicates: int
    errors: list[ItemError]


class AlertsResult(SamplesResult, rename="camel", kw_only=True):
    """What became of the alerts; the ids by index, empty where nothing is stored."""

    warnings: list[ItemWarning]
    alert_ids: list[str]


def _alerts_operation(name: str) -> Operation:
    return Operation(
        tag="Intake",
        name=name,
        summary="Takes notices of Alertmanager and Grafana, and arrays of Prometheus alerts",
        description=(
            "200 only after everything that is counted is durable. What is wrong in form costs no "
            "alert: it is mended and named in `warnings`. An alert without labels is named in "
            "`errors`; 400 when none of the alerts could be taken. 503 with Retry-After when the "
            "alerts cannot be committed now, or when the sender is over its limit: send all of "
            "them again."
        ),
        body=SentWebhook | list[SentAlert],
        answer=AlertsResult,
    )


_METRICS: Final = Operation(
    tag="Intake",
    name="PostMetrics",
    summary="Takes one sample or an array of samples",
    description=(
        "timestamp is RFC 3339 or a number since 1970, in seconds, milliseconds, microseconds or "
        'nanoseconds as its size shows; now when absent. metric_value may be the strings "NaN", '
        '"+Inf" and "-Inf". Of a series and timestamp that come twice the first value stays, the '
        "other counts as duplicate. A request with an Idempotency-Key counts once however often "
        "it is sent within a day; 422 when the key came with another body."
    ),
    body=SentItem | list[SentItem],
    answer=SamplesResult,
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
    alert_calls: AlertCalls
    producer: Producer
    keys: IdempotencyStore
    tally: Tally
    clock: Clock
    max_bytes: int

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        return [
            *(
                Endpoint(
                    method="POST",
                    path=path,
                    policy=_WRITE_ALERTS,
                    handle=self._alerts,
                    operation=_alerts_operation(name),
                    rate=Rate.ALERTS,
                    webhook=True,
                )
                for name, path in (
                    ("PostAlerts", "/api/v1/alerts"),
                    # the only path that Prometheus 3, vmalert and Thanos send to
                    ("PostAlertsV2", "/api/v2/alerts"),
                )
            ),
            Endpoint(
                method="POST",
                path="/api/v1/metrics",
                policy=_WRITE_SAMPLES,
                handle=self._samples,
                operation=_METRICS,
                rate=Rate.METRICS,
            ),
        ]

    async def _alerts(self, request: Request) -> Response:
        """200 only when every good alert is committed; 503 when that cannot be said."""
        body = await read_body(request, self.max_bytes, any_type=True)
        principal = principal_of(request)
        go_on = partial(wait_longer, request.scope, _PART_S)
        outcome = await write_alerts(self.alert_calls, principal, body, go_on)
        self.tally.note("alerts", principal.subject, outcome.refusals)
        outcome.check_some_taken("alerts", "ALERTS_REFUSED")
        return await off_loop(body, _alerts_taken, outcome)

    async def _samples(self, request: Request) -> Response:
        body = await read_body(request, self.max_bytes, any_type=False)
        principal = principal_of(request)
        origin = await self._origin(request, body)
        now_ms = self.clock.now_ms()
        outcome = await write_samples(self.clients, principal, body, now_ms, self.producer, origin)
        self.tally.note("samples", principal.subject, outcome.refusals)
        outcome.check_some_taken("samples", "SAMPLES_REFUSED")
        return await off_loop(body, _samples_taken, outcome)

    async def _origin(self, request: Request, body: bytes) -> Origin | None:
        key = request.headers.get("idempotency-key")
        if key is None:
            return None
        if not 0 < len(key) <= _KEY_LONGEST:
            message = f"Idempotency-Key: 1 to {_KEY_LONGEST} characters"
            raise InvalidInput(message, reason="INVALID_IDEMPOTENCY_KEY")
        origin = repeatable(principal_of(request).subject, f"key {key}")
        if not await self.keys.claim(origin[0], hashlib.sha256(body).digest()):
            message = "this Idempotency-Key came with another body: choose a new key"
            raise IdempotencyKeyReused(message)
        return origin


def _alerts_taken(outcome: AlertOutcome) -> Response:
    return JsonResponse(
        AlertsResult(
            accepted=outcome.accepted,
            duplicates=outcome.duplicates,
            errors=[_error(refusal) for refusal in outcome.refusals],
            warnings=[
                ItemWarning(index=each.index, reason=each.reason, message=each.message)
                for each in outcome.warnings
            ],
            alert_ids=outcome.ids,
        )
    )


def _samples_taken(outcome: Outcome) -> Response:
    return JsonResponse(
        SamplesResult(
            accepted=outcome.accepted,
            duplicates=outcome.duplicates,
            errors=[_error(refusal) for refusal in outcome.refusals],
        )
    )


def _error(refusal: Refusal) -> ItemError:
    return ItemError(
        index=refusal.index,
        reason=refusal.reason,
        message=refusal.message,
        retryable=refusal.retryable,
    )
