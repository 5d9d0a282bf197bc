"""The two JSON forms in which alerts come, read leniently: one bad alert spoils no other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec

from mesh.errors import InvalidInput, Violation
from services.gateway.http.bodies import decode
from services.gateway.model import AlertChange, Refusal

Time = Annotated[datetime, msgspec.Meta(tz=True)]

_FIRING: Final = "firing"
_RESOLVED: Final = "resolved"
# Alertmanager does not send a refused alert again, so what is only for people is cut instead
_ANNOTATION_BYTES_MAX: Final = 16 * 1024
_CUT_MARK: Final = " … (cut)"
_URL_BYTES_MAX: Final = 2048
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SentAlert(msgspec.Struct, rename="camel", kw_only=True):
    """One alert, as Alertmanager's webhook and as Prometheus send it. Other fields are ignored."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    status: str | None = None
    starts_at: Time | None = None
    ends_at: Time | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")


class Webhook(msgspec.Struct, kw_only=True):
    """A notice of Alertmanager, version 4."""

    version: str
    alerts: list[msgspec.Raw]


class SentWebhook(msgspec.Struct, kw_only=True):
    """A notice of Alertmanager as documents show it."""

    version: Literal["4"]
    alerts: list[SentAlert]


def read_alerts(body: bytes, now_ms: int) -> Iterator[AlertChange | Refusal]:
    """The alerts of a body, each a change or the reason why it is none.

    Raises:
        InvalidInput: JSON_BROKEN, INVALID_FIELD or UNSUPPORTED_VERSION, about the whole body.
    """
    for index, raw in enumerate(_alerts(body)):
        try:
            yield _change(decode(raw, SentAlert), now_ms)
        except InvalidInput as error:
            yield Refusal(index=index, reason=_reason(error), message=error.message)


def _alerts(body: bytes) -> list[msgspec.Raw]:
    if body.lstrip()[:1] == b"[":
        return decode(body, list[msgspec.Raw])
    webhook: Webhook = decode(body, Webhook)
    if webhook.version != "4":
        told = f"version {webhook.version[:20]!r} is not known: send version '4'"
        violations = [Violation("version", "must be '4'")]
        raise InvalidInput(told, reason="UNSUPPORTED_VERSION", violations=violations)
    return webhook.alerts


def _change(alert: SentAlert, now_ms: int) -> AlertChange:
    if alert.starts_at is None or _is_absent(alert.starts_at):
        raise _refused("startsAt", "is required: it tells episodes apart")
    ends_ms = None if alert.ends_at is None or _is_absent(alert.ends_at) else _ms(alert.ends_at)
    is_firing = _is_firing(alert.status, ends_ms, now_ms)
    return AlertChange(
        labels=alert.labels,
        annotations={name: _cut(text) for name, text in alert.annotations.items()},
        is_firing=is_firing,
        start_ms=_ms(alert.starts_at),
        end_ms=None if is_firing else ends_ms,
        generator_url=alert.generator_url if _fits(alert.generator_url) else "",
    )


def _cut(text: str) -> str:
    """The text, or as much of it as is stored: a long text must not cost the alert."""
    raw = text.encode(errors="replace")
    if len(raw) <= _ANNOTATION_BYTES_MAX:
        return text
    room = _ANNOTATION_BYTES_MAX - len(_CUT_MARK.encode())
    return raw[:room].decode(errors="ignore") + _CUT_MARK


def _fits(url: str) -> bool:
    """A link that is cut leads nowhere, so one that is too long is left out."""
    return len(url.encode(errors="replace")) <= _URL_BYTES_MAX


def _is_firing(status: str | None, ends_ms: int | None, now_ms: int) -> bool:
    """Prometheus tells no status, but until when an alert holds unless it is told again."""
    if status is None:
        return ends_ms is None or ends_ms > now_ms
    if status not in (_FIRING, _RESOLVED):
        raise _refused("status", f"must be {_FIRING} or {_RESOLVED}")
    return status == _FIRING


def _is_absent(time: datetime) -> bool:
    """0001-01-01T00:00:00Z is how Go writes that there is no time."""
    return time.year <= 1


def _ms(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)


def _refused(field: str, told: str) -> InvalidInput:
    return InvalidInput(f"{field} {told}", violations=[Violation(field, told)])


def _reason(error: InvalidInput) -> str:
    field = error.violations[0].field if error.violations else ""
    if field.startswith("annotations"):
        return "INVALID_ANNOTATIONS"
    if field.startswith(("startsAt", "endsAt")):
        return "INVALID_TIME"
    return "INVALID_STATE" if field.startswith("status") else "INVALID_LABELS"
