"""Alerts exactly as Alertmanager's webhook and Prometheus' array write them, read in one pass.

Nearly all that is sent has this form, and `alert_forms`, which reads every other one, costs ten
times as much. What is found here is what would be found there, so a body of any other form, or with
anything to be mended, is left to it as a whole.
"""

from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Raw

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.gateway.intake.times import time_ms

_STATES: Final = {
    "firing": alert_pb2.ALERT_STATE_FIRING,
    "resolved": alert_pb2.ALERT_STATE_RESOLVED,
    "": alert_pb2.ALERT_STATE_UNSPECIFIED,
}
_NO_TIMES: Final = frozenset({"", "0001-01-01T00:00:00Z"})
_LABELS_KEPT: Final = 8192
_OTHERS_KEPT: Final = 1024
"""Most texts repeat from alert to alert: the last ones are kept serialized, some megabytes."""

Status = Literal["firing", "resolved", ""]
# a longer text is left to the other reader, which bounds what is kept
Text = Annotated[str, msgspec.Meta(max_length=256)]
LongText = Annotated[str, msgspec.Meta(max_length=4096)]


class _Alert(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True, gc=False):
    labels: dict[Text, Text]
    annotations: dict[Text, LongText] = {}
    status: Status = ""
    starts_at: Text = ""
    ends_at: Text = ""
    generator_url: LongText = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""


class _Webhook(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    alerts: list[_Alert]
    status: Status = ""
    version: str = ""
    receiver: str = ""
    group_key: str = ""
    truncated_alerts: int = 0
    group_labels: Raw = Raw()
    common_labels: Raw = Raw()
    common_annotations: Raw = Raw()
    external_url: str = msgspec.field(default="", name="externalURL")


_decoder: Final = msgspec.json.Decoder(_Webhook | list[_Alert])


def read_plain(body: bytes) -> pb.WriteAlertsRequest | None:
    """The alerts of a body; None when `alert_forms` must read it.

    Cost: 5 µs an alert whose labels came before, 2 µs more for each new one.
    """
    try:
        content = _decoder.decode(body)
        sent = _Webhook(alerts=content) if isinstance(content, list) else content
        request = pb.WriteAlertsRequest()
        for alert in sent.alerts:
            if not any(alert.labels.values()):
                return None
            request.alerts.add().MergeFromString(_serialized(alert, sent.status))
    except (ValueError, OverflowError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    return request


def _serialized(alert: _Alert, notice: Status) -> bytes:
    """Serialized parts of a message, one behind the other, are the message."""
    status = alert.status or ("resolved" if notice == "resolved" else "")
    return b"".join(
        (
            *map(_label, alert.labels, alert.labels.values()),
            *map(_annotation, alert.annotations, alert.annotations.values()),
            _times(status, alert.starts_at, alert.ends_at),
            _url(alert.generator_url),
        )
    )


@lru_cache(_LABELS_KEPT)
def _label(name: str, text: str) -> bytes:
    label = series_pb2.Label(name=name, value=text)
    return alert_pb2.Alert(labels=[label]).SerializeToString()


@lru_cache(_OTHERS_KEPT)
def _annotation(name: str, text: str) -> bytes:
    if not text:
        return b""
    label = series_pb2.Label(name=name, value=text)
    return alert_pb2.Alert(annotations=[label]).SerializeToString()


@lru_cache(_OTHERS_KEPT)
def _times(status: Status, start: str, end: str) -> bytes:
    alert = alert_pb2.Alert(state=_STATES[status], start_time=_stamp(start), end_time=_stamp(end))
    return alert.SerializeToString()


@lru_cache(_OTHERS_KEPT)
def _url(text: str) -> bytes:
    return alert_pb2.Alert(generator_url=text).SerializeToString()


def _stamp(text: str) -> Timestamp | None:
    if text in _NO_TIMES or not text.strip() or (found_ms := time_ms(text)) is None:
        return None
    return Timestamp(seconds=found_ms // 1000, nanos=found_ms % 1000 * 1_000_000)
