"""Webhooks: JSON in one of three forms, signed, with a key that stays the same over retries."""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from services.notifier.channels.http import Http
from services.notifier.channels.message import Message
from services.notifier.channels.secrets import Secrets
from services.notifier.model.incident import Incident
from services.notifier.model.notices import Kind, Outcome
from services.notifier.routing.receivers import Integration, Webhook

_NO_END: Final = "0001-01-01T00:00:00Z"
_TYPES: Final = ("cpu", "memory", "disk", "network")


class WebhookChannel:
    """Posts notices as JSON."""

    def __init__(self, http: Http, secrets: Secrets) -> None:
        """Sends by `http`."""
        self._http = http
        self._secrets = secrets

    async def deliver(self, way: Integration, message: Message) -> Outcome:
        """Posts it once; any 2xx takes it."""
        assert isinstance(way, Webhook)  # noqa: S101
        body = msgspec.json.encode(FORMS[way.format](message))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": str(message.notice.notice_id),
        }
        if way.authorization:
            headers["Authorization"] = _credentials(self._secrets.read(way.authorization))
        if way.secret:
            headers["X-Sensus-Signature"] = signature(
                self._secrets.read(way.secret), message.now_ms // 1000, body
            )
        url = self._secrets.read(way.url)
        return (await self._http.send("POST", url, headers=headers, body=body)).outcome


def signature(secret: str, time_s: int, body: bytes) -> str:
    """`t=…,v1=…`: HMAC-SHA256 over the time, a dot and the body.

    >>> signature("s", 1, b"{}")[:8]
    't=1,v1=b'
    """
    signed = f"{time_s}.".encode() + body
    mac = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={time_s},v1={mac}"


def sensus_form(message: Message) -> dict[str, Any]:
    """Everything that is known, under names of the product."""
    notice, incident = message.notice, message.incident
    return {
        "version": "1",
        "notice_id": str(notice.notice_id),
        "kind": str(notice.kind),
        "transition": notice.transition,
        "receiver": notice.receiver,
        "instead_of": notice.instead_of,
        "title": message.notice_text.title,
        "summary": message.notice_text.summary,
        "text": message.notice_text.body,
        "event_time": _time(notice.event_ms),
        "sent_time": _time(message.now_ms),
        "url": message.notice_text.link,
        "digest": list(message.members),
        "incident": _incident(incident) if incident else None,
    }


def alertmanager_form(message: Message) -> dict[str, Any]:
    """Alertmanager's webhook, version 4; an incident is one group of its members."""
    incident = message.incident
    status = "resolved" if message.is_resolved else "firing"
    sets = _alert_labels(message)
    groups = message.notice.content.group_labels
    written = ", ".join(f'{name}="{value}"' for name, value in sorted(groups.items()))
    start = _time(incident.start_ms or incident.open_ms) if incident else _time(message.now_ms)
    end = _time(incident.resolve_ms or message.notice.event_ms) if incident else _NO_END
    annotations = {
        "summary": message.notice_text.title,
        "description": message.notice_text.summary,
    }
    return {
        "version": "4",
        "groupKey": f"{message.notice.content.route}:{{{written}}}#{message.thread}",
        "truncatedAlerts": incident.members_left_out if incident else 0,
        "status": status,
        "receiver": message.notice.receiver,
        "groupLabels": groups,
        "commonLabels": incident.labels if incident else sets[0],
        "commonAnnotations": annotations,
        "externalURL": message.notice_text.link or message.public_url,
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": start,
                "endsAt": end if status == "resolved" else _NO_END,
                "generatorURL": message.notice_text.link,
                "fingerprint": hashlib.sha256(
                    msgspec.json.encode(sorted(labels.items()))
                ).hexdigest()[:16],
            }
            for labels in sets
        ],
    }


def agent_form(message: Message) -> dict[str, Any]:
    """The short form: what is abnormal, where, how badly."""
    incident = message.incident
    labels = incident.labels if incident else {}
    return {
        "agent_name": _first(labels, "agent", "host", "instance", "pod", "service") or "sensus",
        "environment": incident.environment if incident else "",
        "timestamp": _time(message.notice.event_ms),
        "anomaly": {
            "type": _type(labels.get("__name__") or labels.get("alertname") or ""),
            "severity": str(message.notice.severity),
            "message": message.notice_text.title,
            "value": _number(labels.get("value", "")),
            "threshold": _number(labels.get("threshold", "")),
        },
    }


FORMS: Final = {
    "sensus": sensus_form,
    "alertmanager": alertmanager_form,
    "agent": agent_form,
}


def _alert_labels(message: Message) -> list[dict[str, str]]:
    incident = message.incident
    if incident is not None:
        own = {"alertname": incident.title, **incident.labels}
        return [dict(each) for each in incident.member_labels] or [own]
    if message.notice.kind is Kind.DIGEST:
        return [{"alertname": title} for title in message.members]
    return [{"alertname": message.notice_text.title, "severity": str(message.notice.severity)}]


def _incident(incident: Incident) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(incident)
    for name in ("start", "open", "resolve"):
        ms = found.pop(f"{name}_ms")
        found[f"{name}_time"] = _time(ms) if ms else None
    found.pop("muted_until_ms")
    found["changes"] = [
        {"title": each.title, "time": _time(each.time_ms)} for each in incident.changes
    ]
    return found


def _credentials(secret: str) -> str:
    """A token alone is a bearer token; with a scheme before it, it is what it says."""
    return secret if " " in secret else f"Bearer {secret}"


def _type(metric: str) -> str:
    lowered = metric.lower()
    return next((kind for kind in _TYPES if kind in lowered), metric or "incident")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None


def _first(labels: dict[str, str], *names: str) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _time(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
