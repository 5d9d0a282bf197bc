"""PagerDuty's Events API v2: an incident of ours is one alert of theirs, by its dedup_key."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from services.notifier.channels.http import Http
from services.notifier.channels.message import Message
from services.notifier.channels.secrets import Secrets
from services.notifier.model.notices import Kind, Outcome
from services.notifier.routing.receivers import Integration, PagerDuty
from services.notifier.texts.inert import inert

SUMMARY_CHARS_MAX: Final = 1024
KEY_CHARS_MAX: Final = 255
BODY_BYTES_MAX: Final = 512_000


class PagerDutyChannel:
    """Enqueues events. 202 means that PagerDuty has queued one, no more."""

    def __init__(self, http: Http, secrets: Secrets) -> None:
        """Sends by `http`."""
        self._http = http
        self._secrets = secrets

    async def deliver(self, way: Integration, message: Message) -> Outcome:
        """Triggers, acknowledges or resolves."""
        assert isinstance(way, PagerDuty)  # noqa: S101
        event = event_of(message) | {"routing_key": self._secrets.read(way.routing_key)}
        body = msgspec.json.encode(event)
        if len(body) > BODY_BYTES_MAX:
            event["payload"]["custom_details"] = {"cut": "the details were too large"}
            body = msgspec.json.encode(event)
        url = self._secrets.read(way.url)
        headers = {"Content-Type": "application/json"}
        return (await self._http.send("POST", url, headers=headers, body=body)).outcome


def event_of(message: Message) -> dict[str, Any]:
    """The event without its key. What is escalated or worse is triggered anew under one key."""
    notice_text, incident = message.notice_text, message.incident
    details = {inert(name, 100): inert(value, 1000) for name, value in notice_text.facts}
    if notice_text.summary:
        details["summary"] = inert(notice_text.summary, 2000)
    if notice_text.body:
        details["text"] = "\n".join(inert(line, 2000) for line in notice_text.body.splitlines())
    event: dict[str, Any] = {
        "event_action": _action(message),
        "dedup_key": f"sensus-{message.thread}"[:KEY_CHARS_MAX],
        "payload": {
            "summary": inert(notice_text.title, SUMMARY_CHARS_MAX) or "-",
            "severity": str(message.notice.severity),
            "source": inert(_source(message), 200),
            "component": inert(incident.services[0], 200) if incident and incident.services else "",
            "group": inert(incident.environment, 200) if incident else "",
            "class": str(message.notice.kind),
            "timestamp": datetime.fromtimestamp(message.notice.event_ms / 1000, UTC).isoformat(),
            "custom_details": details,
        },
    }
    if notice_text.link:
        event["links"] = [{"href": notice_text.link, "text": "Open the incident"}]
        event["client_url"] = notice_text.link
        event["client"] = "Sensus"
    return event


def _action(message: Message) -> str:
    if message.is_resolved:
        return "resolve"
    return "acknowledge" if message.notice.kind is Kind.ACKNOWLEDGED else "trigger"


def _source(message: Message) -> str:
    incident = message.incident
    if incident is None:
        return "sensus"
    return (incident.services or (incident.environment,))[0] or "sensus"
