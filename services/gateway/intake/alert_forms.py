"""The JSON forms in which alerts come, and what is made of each: a mistake in form costs no alert.

Alertmanager's webhook of any version, Grafana's (version 1), the plain array of Prometheus, vmalert
and Thanos, a single alert. What a form lacks or has too much is noted as a warning.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Raw

from mesh.errors import InvalidInput, Violation
from sensus.core.v1 import alert_pb2, series_pb2
from services.gateway.intake.bodies import parsed
from services.gateway.intake.times import time_ms

NOT_AN_ALERT: Final = "NOT_AN_ALERT"

_STATES: Final = {
    alert_pb2.ALERT_STATE_FIRING: "firing active alerting open triggered trigger problem pending",
    alert_pb2.ALERT_STATE_RESOLVED: "resolved ok normal closed recovered recovery inactive",
}
_STATE_BY_WORD: Final = {word: state for state, names in _STATES.items() for word in names.split()}
_GRAFANA_ALERT_FIELDS: Final = {
    name.lower(): name
    for name in (
        *("dashboardURL", "panelURL", "silenceURL", "imageURL"),
        *("values", "valueString", "ruleUID", "orgId"),
    )
}
_GRAFANA_NOTICE_FIELDS: Final = {
    name.lower(): name for name in ("orgId", "title", "message", "state")
}
_NOTICE_TEXT_MAX: Final = 2048
"""A text of the notice is kept with each of its alerts, so a long one would be kept often."""
_SHOWN_MAX: Final = 60

Fields = Mapping[str, Raw]
"""Members of a JSON object. Names are folded, as Go reads them: case and `_` do not matter."""


class SentAlert(msgspec.Struct, rename="camel", kw_only=True):
    """One alert, as documents show it."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    status: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")


class SentWebhook(msgspec.Struct, kw_only=True):
    """A notice of Alertmanager or Grafana, as documents show it."""

    alerts: list[SentAlert]
    version: str = "4"
    status: str | None = None


@dataclass(slots=True)
class AlertReader:
    """One alert that is being read, and what was found wrong with it on the way."""

    warnings: list[tuple[str, str]] = field(default_factory=list)

    def warn(self, reason: str, message: str) -> None:
        """Notes that something was mended."""
        self.warnings.append((reason, message))


@dataclass(frozen=True, slots=True)
class SentNotice:
    """The alerts of a body, each as raw JSON, and what the notice around them says."""

    alerts: Sequence[Raw]
    around: Fields = field(default_factory=dict)


def read_notice(body: bytes) -> SentNotice:
    """The alerts of a body.

    Raises:
        InvalidInput: JSON_BROKEN, or ALERTS_MISSING: there is no place for alerts in it.
    """
    try:
        content = parsed(body, list[Raw] | dict[str, Raw])
    except msgspec.ValidationError:
        raise _no_alerts() from None
    if isinstance(content, list):
        return SentNotice(content)
    around = _folded(content)
    if "alerts" in around:
        return SentNotice(_listed(around["alerts"]), around)
    if "labels" in around:
        return SentNotice([Raw(body)])
    raise _no_alerts()


def read_alert(raw: Raw, around: Fields, reading: AlertReader) -> alert_pb2.Alert:
    """One alert.

    Raises:
        InvalidInput: NOT_AN_ALERT, it is no JSON object.
    """
    fields = _object(raw)
    if fields is None:
        rule = "must be an object with labels"
        raise InvalidInput(rule, reason=NOT_AN_ALERT, violations=[Violation("", rule)])
    said = _folded(fields)
    alert = alert_pb2.Alert(
        labels=_labels(said, around, reading),
        annotations=_annotations(said, around, reading),
        generator_url=_text(said.get("generatorurl")) or "",
        state=_state(said, around, reading),
    )
    for name, stamp in (("startsAt", alert.start_time), ("endsAt", alert.end_time)):
        _read_time(name, said, stamp, reading)
    return alert


def _listed(raw: Raw) -> Sequence[Raw]:
    """The alerts of a notice: a list, nothing, or by mistake a single one."""
    content = bytes(raw).strip()
    if content[:1] == b"[":
        return parsed(content, list[Raw])  # type: ignore[no-any-return]
    return [] if content == b"null" else [raw]


def _labels(said: Fields, around: Fields, reading: AlertReader) -> list[series_pb2.Label]:
    """The alert's own labels; without any, those that the whole notice has in common."""
    labels = _texts("labels", said, reading)
    for shared in ("commonlabels", "grouplabels"):
        if not any(labels.values()) and (labels := _texts(shared, around, reading)):
            reading.warn("LABELS_ASSUMED", "labels: there are none, those of the notice count")
    return [series_pb2.Label(name=name, value=value) for name, value in labels.items()]


def _annotations(said: Fields, around: Fields, reading: AlertReader) -> list[series_pb2.Label]:
    texts = _texts("annotations", said, reading)
    for folded in _GRAFANA_ALERT_FIELDS.keys() & said.keys():
        texts.setdefault(_GRAFANA_ALERT_FIELDS[folded], _text(said[folded]) or "")
    for folded in _GRAFANA_NOTICE_FIELDS.keys() & around.keys():
        name, text = _GRAFANA_NOTICE_FIELDS[folded], _text(around[folded]) or ""
        texts[name] = texts.get(name) or text[:_NOTICE_TEXT_MAX]
    return [series_pb2.Label(name=name, value=text) for name, text in texts.items() if text]


def _texts(name: str, fields: Fields, reading: AlertReader) -> dict[str, str]:
    """An object of texts; numbers and the like are taken as they are written, null as absent."""
    raw = fields.get(name, Raw(b"null"))
    try:
        texts: dict[str, str] = msgspec.json.decode(raw, type=dict[str, str])
    except (msgspec.DecodeError, RecursionError):
        return _texts_of_other_form(name, raw, reading)
    return texts


def _texts_of_other_form(name: str, raw: Raw, reading: AlertReader) -> dict[str, str]:
    members = _object(raw)
    if members is None:
        members = dict(_pairs(raw))
    if not members and _text(raw) not in (None, "", "{}", "[]"):
        reading.warn("FIELD_DROPPED", f"{name}: is no object of texts and is left out")
    texts: dict[str, str] = {}
    for key, value in members.items():
        if bytes(value).strip()[:1] not in (b'"', b""):
            reading.warn("TEXT_ASSUMED", f"{name}.{key[:_SHOWN_MAX]}: is no text, send a text")
        texts[key] = _text(value) or ""
    return texts


def _pairs(raw: Raw) -> Iterator[tuple[str, Raw]]:
    """The form of the contract: `[{"name": …, "value": …}]`."""
    content = bytes(raw).strip()
    for each in parsed(content, list[Raw]) if content[:1] == b"[" else ():
        member = _object(each) or {}
        if "name" in member and (name := _text(member["name"])):
            yield name, member.get("value", Raw(b"null"))


def _state(said: Fields, around: Fields, reading: AlertReader) -> alert_pb2.AlertState.ValueType:
    """As the alert says; else resolved when its notice is; else its end decides."""
    word = _state_word(said.get("status"))
    if word and word not in _STATE_BY_WORD:
        rule = "is neither firing nor resolved, the end decides"
        reading.warn("STATUS_UNKNOWN", f"status {word[:_SHOWN_MAX]!r}: {rule}")
    found = _STATE_BY_WORD.get(word, alert_pb2.ALERT_STATE_UNSPECIFIED)
    of_notice = _STATE_BY_WORD.get(_state_word(around.get("status")))
    if not word and of_notice == alert_pb2.ALERT_STATE_RESOLVED:
        return of_notice
    return found


def _state_word(raw: Raw | None) -> str:
    """Alertmanager's own listing has an object there: `{"state": "active", …}`."""
    members = _object(raw) if raw is not None else None
    text = _text(members.get("state") if members is not None else raw)
    return (text or "").strip().lower().removeprefix("alert_state_")


def _read_time(name: str, said: Fields, stamp: Timestamp, reading: AlertReader) -> None:
    raw = said.get(name.lower())
    text = _text(raw)
    if raw is None or not text or not text.strip():
        return
    is_text = bytes(raw).strip()[:1] == b'"'
    try:
        found_ms = time_ms(text if is_text else float(text))
    except (ValueError, OverflowError, TypeError):
        rule = "is no time, send RFC 3339"
        reading.warn("TIME_UNREADABLE", f"{name} {text[:_SHOWN_MAX]!r}: {rule}")
        return
    if found_ms is not None:
        stamp.seconds, stamp.nanos = found_ms // 1000, found_ms % 1000 * 1_000_000


def _object(raw: Raw) -> dict[str, Raw] | None:
    """The members of a JSON object, None when it is something else."""
    content = bytes(raw).strip()
    if content[:1] != b"{":
        return None
    members: dict[str, Raw] = parsed(content, dict[str, Raw])
    return members


def _text(raw: Raw | None) -> str | None:
    """A JSON value as a text: a string as it is, null as None, all else as it is written."""
    content = b"null" if raw is None else bytes(raw).strip()
    if content == b"null":
        return None
    if content[:1] == b'"':
        text: str = parsed(content, str)
        return text
    return content.decode(errors="replace")


def _folded(members: Mapping[str, Raw]) -> dict[str, Raw]:
    """By folded name; the one that is written as documents have it wins."""
    return {name.lower().replace("_", ""): members[name] for name in sorted(members)}


def _no_alerts() -> InvalidInput:
    rule = "send an array of alerts, or an object with an array `alerts`, as Alertmanager does"
    return InvalidInput(rule, reason="ALERTS_MISSING", violations=[Violation("alerts", rule)])
