"""Silences, in and out, and those of an Alertmanager."""

from datetime import datetime
from typing import Any

import msgspec

from mesh.errors import InvalidInput
from sensus.incidents.v1 import incidents_service_pb2 as pb
from services.incidents.convert.common import (
    invalid,
    maybe_timestamp,
    selector,
    text,
    time_ms,
    timestamp,
)
from services.incidents.store.silences import Silence

_YEAR_MS = 366 * 86_400_000
_BYTES_MAX = 4 * 1024 * 1024
_ENTRIES_MAX = 10_000
_REASON = "INVALID_SILENCE"


def silence(sent: pb.Silence, actor: str, now_ms: int) -> Silence:
    """A silence of a request.

    Raises:
        InvalidInput: INVALID_SELECTOR, INVALID_SILENCE or INVALID_REASON.
    """
    if not selector(sent.selector, "silence.selector").matchers:
        raise invalid("silence.selector", "match at least one label", "INVALID_SELECTOR")
    start = time_ms("silence.start_time", sent.start_time, _REASON) or now_ms
    end = 0
    if sent.WhichOneof("until") == "end_time":
        end = time_ms("silence.end_time", sent.end_time, _REASON)
        if not max(now_ms, start) < end <= start + _YEAR_MS:
            rule = "must be ahead and after the start, at most 366 days"
            raise invalid("silence.end_time", rule, _REASON)
    elif not sent.until_resolved:
        raise invalid("silence.until", "set end_time, or until_resolved to true", _REASON)
    return Silence(
        selector=sent.selector,
        start_ms=start,
        end_ms=end,
        reason=text("silence.reason", sent.reason, 2000, "INVALID_REASON", least=1),
        actor=actor,
    )


def silence_message(known: Silence) -> pb.Silence:
    """A silence for the wire."""
    message = pb.Silence(
        silence_id=known.silence_id,
        selector=known.selector,
        start_time=timestamp(known.start_ms),
        reason=known.reason,
        actor=known.actor,
        expire_time=maybe_timestamp(known.expire_ms),
        imported_id=known.imported_id,
    )
    if known.end_ms:
        message.end_time.CopyFrom(timestamp(known.end_ms))
    else:
        message.until_resolved = True
    return message


def from_alertmanager(sent: str, actor: str, now_ms: int) -> tuple[list[Silence], list[str]]:
    """The silences of GET /api/v2/silences, and why the others are not taken.

    Raises:
        InvalidInput: INVALID_SILENCES.
    """
    try:
        entries = msgspec.json.decode(sent.encode()) if len(sent) <= _BYTES_MAX else None
    except (msgspec.DecodeError, RecursionError):
        entries = None
    if not isinstance(entries, list) or len(entries) > _ENTRIES_MAX:
        rule = "send the JSON list of GET /api/v2/silences, at most 10,000 entries and 4 MiB"
        raise invalid("alertmanager_json", rule, "INVALID_SILENCES")
    found: list[Silence] = []
    lost: list[str] = []
    for number, entry in enumerate(entries):
        try:
            found.append(_from_entry(entry, actor, now_ms))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            lost.append(f"entry {number}: is no silence of Alertmanager: {error!r}"[:300])
        except InvalidInput as error:
            lost.append(f"entry {number}: {error.message}"[:300])
    return found, lost


def _from_entry(entry: dict[str, Any], actor: str, now_ms: int) -> Silence:
    written = "{" + ",".join(_matcher(each) for each in entry["matchers"]) + "}"
    selector(written, "matchers")
    start, end = (_ms(entry[name]) for name in ("startsAt", "endsAt"))
    state = entry.get("status", {}).get("state", "")
    if end <= now_ms or state == "expired":
        raise invalid("endsAt", "it has expired", _REASON)
    by = entry.get("createdBy") or actor
    comment = entry.get("comment") or "imported from Alertmanager"
    return Silence(
        selector=written,
        start_ms=start,
        end_ms=end,
        reason=text("comment", f"{comment} ({by})"[:2000], 2000, "INVALID_REASON"),
        actor=actor,
        imported_id=text("id", entry["id"], 200, _REASON, least=1),
    )


def _matcher(each: dict[str, Any]) -> str:
    equal = each.get("isEqual", True)
    operator = {
        (True, False): "=",
        (True, True): "=~",
        (False, False): "!=",
        (False, True): "!~",
    }[bool(equal), bool(each["isRegex"])]
    name, value = (
        str(each[part]).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for part in ("name", "value")
    )
    return f'"{name}"{operator}"{value}"'


def _ms(value: str) -> int:
    return round(datetime.fromisoformat(value).timestamp() * 1000)
