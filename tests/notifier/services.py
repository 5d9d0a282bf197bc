"""Slack, PagerDuty and ServiceNow as far as their documents tell: shapes, limits and refusals.

None of them can be had without an account; these servers refuse what the real ones document that
they refuse.
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


@dataclass
class SlackServer:
    """chat.postMessage and chat.update: at most 50 blocks, each of 3000 characters; 429 if told."""

    token: str = "xoxb-test"
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    replies: list[dict[str, Any]] = field(default_factory=list)
    limited: int = 0
    error: str = ""

    async def handle(self, request: Request) -> Response:
        """One call of the Web API."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"ok": False, "error": "invalid_auth"})
        if self.limited:
            self.limited -= 1
            return JSONResponse(
                {"ok": False, "error": "ratelimited"}, status_code=429, headers={"Retry-After": "1"}
            )
        body = json.loads(await request.body())
        if self.error:
            return JSONResponse({"ok": False, "error": self.error})
        if fault := _fault_of_blocks(body):
            return JSONResponse({"ok": False, "error": fault})
        if request.url.path.endswith("chat.update"):
            if body["ts"] not in self.messages:
                return JSONResponse({"ok": False, "error": "message_not_found"})
            self.messages[body["ts"]] = body
            return JSONResponse({"ok": True, "channel": "C1", "ts": body["ts"]})
        timestamp = f"17000000{len(self.messages) + len(self.replies)}.000100"
        if "thread_ts" in body:
            self.replies.append(body)
        else:
            self.messages[timestamp] = body
        return JSONResponse({"ok": True, "channel": "C1", "ts": timestamp})


def _fault_of_blocks(body: dict[str, Any]) -> str:
    blocks = body.get("blocks", [])
    if not body.get("text") or len(body["text"]) > 40_000:
        return "no_text"
    if not 1 <= len(blocks) <= 50 or len(json.dumps(blocks)) > 13_000:
        return "msg_blocks_too_long"
    for block in blocks:
        if block["type"] != "section" or not 1 <= len(block["text"]["text"]) <= 3000:
            return "invalid_blocks"
    return ""


@dataclass
class PagerDutyServer:
    """Events API v2: required fields, their lengths, severities and actions; answers 202."""

    routing_key: str = "R" * 32
    events: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: Request) -> Response:
        """One event."""
        body = await request.body()
        event = json.loads(body)
        if faults := self._faults(event, len(body)):
            answer = {"status": "invalid event", "message": "Event object is invalid"}
            return JSONResponse(answer | {"errors": faults}, status_code=400)
        self.events.append(event)
        answer = {"status": "success", "message": "Event processed"}
        return JSONResponse(answer | {"dedup_key": event["dedup_key"]}, status_code=202)

    def _faults(self, event: dict[str, Any], size: int) -> list[str]:
        payload = event.get("payload", {})
        checks: list[tuple[bool, str]] = [
            (len(event.get("routing_key", "")) == 32, "Length of 'routing_key' is incorrect"),
            (event.get("routing_key") == self.routing_key, "routing_key is unknown"),
            (event.get("event_action") in ("trigger", "acknowledge", "resolve"), "event_action"),
            (0 < len(event.get("dedup_key", "")) <= 255, "dedup_key"),
            (size <= 512_000, "too large"),
        ]
        if event.get("event_action") == "trigger":
            checks += [
                (0 < len(payload.get("summary", "")) <= 1024, "payload.summary"),
                (payload.get("severity") in ("critical", "error", "warning", "info"), "severity"),
                (bool(payload.get("source")), "payload.source"),
                (all("href" in link for link in event.get("links", [])), "links"),
            ]
        return [told for fits, told in checks if not fits]


@dataclass
class ServiceNowServer:
    """Table API of `incident`: look up, create, change; with a user and a password."""

    user: str = "sensus"
    password: str = "s3cret"
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: int = 0

    async def handle(self, request: Request) -> Response:
        """One request."""
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            refused = {"error": {"message": "User Not Authenticated"}, "status": "failure"}
            return JSONResponse(refused, status_code=401)
        found = re.fullmatch(r"/api/now/table/incident(?:/([0-9a-f]{32}))?", request.url.path)
        if found is None:
            return JSONResponse({"error": {"message": "Invalid table"}}, status_code=400)
        by_method: dict[str, Callable[[], Any]] = {
            "GET": lambda: self._look_up(request),
            "POST": lambda: self._create(request),
            "PATCH": lambda: self._change(request, found[1]),
        }
        answer: Response = await by_method[request.method]()
        return answer

    async def _look_up(self, request: Request) -> Response:
        query = parse_qs(request.url.query)["sysparm_query"][0]
        name, _, value = unquote(query).partition("=")
        fitting = [r for r in self.records.values() if r.get(name) == value]
        return JSONResponse({"result": [{"sys_id": each["sys_id"]} for each in fitting]})

    async def _create(self, request: Request) -> Response:
        record = json.loads(await request.body())
        if len(record["short_description"]) > 160 or len(record["correlation_id"]) > 100:
            return JSONResponse({"error": {"message": "too long"}}, status_code=400)
        sys_id = f"{self.created:032x}"
        self.created += 1
        self.records[sys_id] = record | {"sys_id": sys_id, "notes": []}
        return JSONResponse({"result": self.records[sys_id]}, status_code=201)

    async def _change(self, request: Request, sys_id: str) -> Response:
        if sys_id not in self.records:
            return JSONResponse({"error": {"message": "No Record found"}}, status_code=404)
        change = json.loads(await request.body())
        if change.get("state") == "6" and not (change.get("close_code") and change["close_notes"]):
            return JSONResponse({"error": {"message": "Data Policy Exception"}}, status_code=403)
        if "work_notes" in change:
            self.records[sys_id]["notes"].append(change.pop("work_notes"))
        self.records[sys_id] |= change
        return JSONResponse({"result": self.records[sys_id]})
