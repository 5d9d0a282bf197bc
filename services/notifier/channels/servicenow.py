"""ServiceNow's Table API: an incident of ours is one record of theirs, found by correlation_id."""

import base64
import re
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from services.notifier.channels.http import Http, text_of
from services.notifier.channels.message import Message
from services.notifier.channels.secrets import Secrets
from services.notifier.model.incident import Severity
from services.notifier.model.notices import Outcome
from services.notifier.routing.receivers import Integration, ServiceNow
from services.notifier.texts.inert import for_journal

SHORT_CHARS_MAX: Final = 160
TEXT_CHARS_MAX: Final = 4000
CORRELATION_CHARS_MAX: Final = 100
RESOLVED: Final = "6"
_URGENCY: Final = {Severity.CRITICAL: "1", Severity.WARNING: "2", Severity.INFO: "3"}
_SYS_ID: Final = re.compile(r"[0-9a-f]{32}")
_TABLE: Final = re.compile(r"[a-z0-9_]{1,80}")


class ServiceNowChannel:
    """Looks a record up before it makes one, so that a repeated notice makes no second."""

    def __init__(self, http: Http, secrets: Secrets) -> None:
        """Sends by `http`."""
        self._http = http
        self._secrets = secrets

    async def deliver(self, way: Integration, message: Message) -> Outcome:
        """Makes the record, or writes into its work notes what is new."""
        assert isinstance(way, ServiceNow)  # noqa: S101
        if not _TABLE.fullmatch(way.table):
            fault = "table must be lower-case letters, digits and _"
            return Outcome(error=fault, is_final=True)
        found, outcome = await self._found(way, message)
        if not outcome.is_sent:
            return outcome
        if found:
            return await self._write(way, "PATCH", f"/{found}", _note(way, message), found)
        if message.is_resolved:
            return Outcome(status=outcome.status, answer="there is no record to resolve")
        return await self._write(way, "POST", "", _record(message), "")

    async def _found(self, way: ServiceNow, message: Message) -> tuple[str, Outcome]:
        """The record's id; "" where there is none."""
        query = urlencode(
            {
                "sysparm_query": f"correlation_id={_correlation(message)}",
                "sysparm_fields": "sys_id",
                "sysparm_limit": "1",
            },
            quote_via=quote,
        )
        answer = await self._http.send(
            "GET", f"{self._url(way)}?{query}", headers=self._headers(way)
        )
        if not answer.outcome.is_sent:
            return "", answer.outcome
        try:
            rows = msgspec.json.decode(answer.body)["result"]
            sys_id = str(rows[0]["sys_id"]) if rows else ""
        except (msgspec.DecodeError, KeyError, TypeError, IndexError, UnicodeError):
            return "", _strange(answer.body)
        if sys_id and not _SYS_ID.fullmatch(sys_id):
            return "", _strange(answer.body)
        return sys_id, answer.outcome

    async def _write(
        self, way: ServiceNow, method: str, path: str, record: dict[str, Any], sys_id: str
    ) -> Outcome:
        answer = await self._http.send(
            method,
            self._url(way) + path,
            headers=self._headers(way),
            body=msgspec.json.encode(record),
        )
        outcome = answer.outcome
        if not outcome.is_sent:
            return outcome
        return Outcome(status=outcome.status, answer=outcome.answer, reference=sys_id)

    def _url(self, way: ServiceNow) -> str:
        return f"{self._secrets.read(way.url).rstrip('/')}/api/now/table/{way.table}"

    def _headers(self, way: ServiceNow) -> dict[str, str]:
        if way.token:
            credentials = f"Bearer {self._secrets.read(way.token)}"
        else:
            both = f"{way.username}:{self._secrets.read(way.password)}".encode()
            credentials = f"Basic {base64.b64encode(both).decode()}"
        return {
            "Authorization": credentials,
            "Accept": "application/json",
            "Content-Type": "application/json",
        }


def _correlation(message: Message) -> str:
    """No character of ServiceNow's query language is in it."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", message.thread)
    return f"sensus-{safe}"[:CORRELATION_CHARS_MAX]


def _record(message: Message) -> dict[str, Any]:
    urgency = _URGENCY[message.notice.severity]
    return {
        "short_description": for_journal(message.notice_text.title, SHORT_CHARS_MAX),
        "description": _text(message),
        "urgency": urgency,
        "impact": urgency,
        "correlation_id": _correlation(message),
        "correlation_display": "Sensus",
    }


def _note(way: ServiceNow, message: Message) -> dict[str, Any]:
    note: dict[str, Any] = {
        "work_notes": f"{for_journal(message.notice_text.title, 300)}\n{_text(message)}"[
            :TEXT_CHARS_MAX
        ]
    }
    if message.is_resolved:
        note |= {
            "state": RESOLVED,
            "close_code": way.close_code,
            "close_notes": for_journal(message.notice_text.title, 1000),
        }
    else:
        note["urgency"] = _URGENCY[message.notice.severity]
    return note


def _text(message: Message) -> str:
    notice_text = message.notice_text
    if notice_text.body:
        lines = [for_journal(line, 2000) for line in notice_text.body.splitlines()]
    else:
        lines = [for_journal(notice_text.summary, 2000)] if notice_text.summary else []
        lines += [f"{for_journal(n, 100)}: {for_journal(v, 500)}" for n, v in notice_text.facts]
    if notice_text.link:
        lines.append(notice_text.link)
    return "\n".join(lines)[:TEXT_CHARS_MAX]


def _strange(body: bytes) -> Outcome:
    return Outcome(answer=text_of(body), error="ServiceNow's answer has another form than told")
