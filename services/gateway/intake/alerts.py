"""Alerts of HTTP senders: read, written to ingest in parts, and accounted for by index."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mesh.auth import Principal
from mesh.errors import InvalidInput, Violation
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.gateway.http.bodies import off_loop
from services.gateway.intake.alert_calls import ALERTS_PER_CALL, BYTES_PER_CALL, AlertCalls
from services.gateway.intake.alert_forms import AlertReader, read_alert, read_notice
from services.gateway.intake.outcome import Outcome, Refusal, by_index
from services.gateway.intake.plain_alerts import read_plain
from services.gateway.metrics import ALERT_WARNINGS, ALERTS_POSTED

ALERTS_MAX: Final = 50_000
"""More than fit into a body when each has a name and a time; what has less would never be answered
in time, and its sender would send it for ever."""
WARNINGS_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCorrections:
    """What was mended in one alert that was taken; `index` is its place in the request."""

    index: int
    reason: str
    message: str


@dataclass(slots=True, kw_only=True)
class AlertOutcome(Outcome):
    """What became of alerts.

    Attributes:
        ids: alert_id by index; empty where one was refused, or resolved what is not open.
    """

    ids: list[str] = field(default_factory=list)
    warnings: list[AlertCorrections] = field(default_factory=list)


async def write_alerts(
    calls: AlertCalls, principal: Principal, body: bytes, go_on: Callable[[], None]
) -> AlertOutcome:
    """Writes the alerts of a body; returns only after all that can be taken are committed.

    Calls `go_on` after each part of a large body: what proceeds does not hang.

    Raises:
        InvalidInput: JSON_BROKEN, ALERTS_MISSING or TOO_MANY_ALERTS about the whole body, or
            ALERTS_REFUSED when none of the alerts could be taken.
        Unavailable: Not all were committed: send all of them again.
    """
    wanted, places, outcome = await off_loop(body, _read, body)
    for request, part in _parts(wanted, places):
        _add(outcome, await calls.write(request, principal), part)
        go_on()
    if outcome.refusals:
        outcome.refusals = by_index(outcome.refusals)
    if outcome.warnings:
        _note_warnings(outcome)
    outcome.count_on(ALERTS_POSTED, len(outcome.refusals))
    return outcome


def _note_warnings(outcome: AlertOutcome) -> None:
    """Counts all of them, and keeps the first ones in the order of the request."""
    for reason, count in Counter(warning.reason for warning in outcome.warnings).items():
        ALERT_WARNINGS.labels(reason).inc(count)
    outcome.warnings.sort(key=lambda warning: warning.index)
    del outcome.warnings[WARNINGS_MAX:]


def _read(body: bytes) -> tuple[pb.WriteAlertsRequest, list[int], AlertOutcome]:
    """The alerts of a body, the index of each, and what is known already of all."""
    plain = read_plain(body)
    if plain is None:
        return _read_leniently(body)
    _check_count(len(plain.alerts))
    count = len(plain.alerts)
    return plain, list(range(count)), AlertOutcome(count=count, ids=[""] * count)


def _check_count(count: int) -> None:
    if count > ALERTS_MAX:
        rule = f"more than {ALERTS_MAX} alerts: send them in parts"
        raise InvalidInput(rule, reason="TOO_MANY_ALERTS", violations=[Violation("alerts", rule)])


def _read_leniently(body: bytes) -> tuple[pb.WriteAlertsRequest, list[int], AlertOutcome]:
    notice = read_notice(body)
    _check_count(len(notice.alerts))
    request, places = pb.WriteAlertsRequest(), []
    outcome = AlertOutcome(count=len(notice.alerts), ids=[""] * len(notice.alerts))
    for index, raw in enumerate(notice.alerts):
        reading = AlertReader()
        try:
            request.alerts.append(read_alert(raw, notice.around, reading))
            places.append(index)
        except InvalidInput as error:
            refusal = Refusal(index=index, reason=error.reason, message=error.message)
            outcome.refusals.append(refusal)
        outcome.warnings.extend(
            AlertCorrections(index=index, reason=reason, message=message)
            for reason, message in reading.warnings
        )
    return request, places, outcome


def _parts(
    wanted: pb.WriteAlertsRequest, places: list[int]
) -> Iterator[tuple[pb.WriteAlertsRequest, list[int]]]:
    """As much as goes into one call each, with the indices."""
    if len(places) <= ALERTS_PER_CALL and wanted.ByteSize() <= BYTES_PER_CALL:
        if places:
            yield wanted, places
        return
    first = size = 0
    for position, alert in enumerate(wanted.alerts):
        size += alert.ByteSize()
        is_full = position - first == ALERTS_PER_CALL or size > BYTES_PER_CALL
        if is_full and position > first:
            yield _part(wanted, first, position), places[first:position]
            first, size = position, alert.ByteSize()
    yield _part(wanted, first, len(places)), places[first:]


def _part(wanted: pb.WriteAlertsRequest, first: int, end: int) -> pb.WriteAlertsRequest:
    return pb.WriteAlertsRequest(alerts=wanted.alerts[first:end])


def _add(outcome: AlertOutcome, answer: pb.WriteAlertsResponse, places: list[int]) -> None:
    outcome.accepted += answer.accepted
    outcome.duplicates += answer.duplicates
    for place, alert_id in zip(places, answer.alert_ids, strict=False):
        outcome.ids[place] = alert_id
    for error in answer.errors:
        index = places[error.index]
        outcome.refusals.append(Refusal(index=index, reason=error.reason, message=error.message))
    for each in answer.warnings:
        index = places[each.index]
        outcome.warnings.append(
            AlertCorrections(index=index, reason=each.reason, message=each.message)
        )
