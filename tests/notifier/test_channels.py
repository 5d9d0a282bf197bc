"""Each channel against a server that takes what the real one takes."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.responses import PlainTextResponse

from sensus.incidents.v1 import incident_pb2
from sensus.notifier.v1 import notice_pb2
from tests.notifier.conftest import Running
from tests.notifier.peers import (
    ACKNOWLEDGED,
    CRITICAL,
    RESOLVED,
    WARNING,
    Hook,
    Log,
    failing,
    one_receiver,
    served,
)
from tests.notifier.services import PagerDutyServer, ServiceNowServer, SlackServer

SENT = notice_pb2.NOTICE_STATE_SENT
FAILED = notice_pb2.NOTICE_STATE_FAILED
HOSTILE = (
    "<!channel> <@U1> @here <b>x</b> http://evil.example/\r\nBcc: all@example.com\u202e [code]<i>"
)


def secret(tmp_path: Path, value: str) -> str:
    """A reference to a secret in a file."""
    file = tmp_path / f"secret-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
    file.write_text(value + "\n")
    return f"file:{file}"


async def test_slack_message_is_edited_and_answered_in_its_thread(
    notifier: Running, log: Log, tmp_path: Path
) -> None:
    slack = SlackServer(limited=1)
    async with served(slack.handle) as url:
        token = secret(tmp_path, slack.token)
        await notifier.route(
            one_receiver(
                f"  slack_configs: [{{token: '{token}', channel: '#ops', api_url: '{url}/api'}}]\n"
            )
        )
        await log.tell("i1", "OPENED", title=HOSTILE, severity=WARNING, labels={"a": HOSTILE})
        cause = incident_pb2.Cause(root_cause="the disk is full")
        await notifier.until(lambda found: [n.state for n in found] == [SENT])
        await log.tell("i1", "EXPLAINED", transition=False, cause=cause)
        await log.tell("i1", "WORSENED", severity=CRITICAL)
        await log.tell("i1", "RESOLVED", state=RESOLVED)
        await notifier.until(lambda found: [n.state for n in found] == [SENT] * 4)
    ((timestamp, message),) = slack.messages.items()
    assert "resolved after" in message["text"]
    assert "the disk is full" in json.dumps(message["blocks"])
    assert [each["thread_ts"] for each in slack.replies] == [timestamp] * 2
    assert [each["reply_broadcast"] for each in slack.replies] == [True, False]
    told = json.dumps([message, *slack.replies], ensure_ascii=False)
    for mention in ("<!channel>", "<@U1>", "@here", "http://evil"):
        assert mention not in told
    blocks = [block["text"] for each in (message, *slack.replies) for block in each["blocks"]]
    assert all(block["verbatim"] for block in blocks)
    assert not message["link_names"]


async def test_slack_refusal_is_final_though_its_status_is_200(
    notifier: Running, log: Log, tmp_path: Path
) -> None:
    slack = SlackServer(error="channel_not_found")
    async with served(slack.handle) as url:
        token = secret(tmp_path, slack.token)
        await notifier.route(
            one_receiver(
                f"  slack_configs: [{{token: '{token}', channel: '#ops', api_url: '{url}/api'}}]\n"
            )
        )
        await log.tell("i1", "OPENED")
        (notice,) = await notifier.until(lambda found: [n.state for n in found] == [FAILED])
    attempt = (await notifier.get(notice.notice_id)).attempts[0]
    assert attempt.error == "Slack refuses the message: channel_not_found"
    assert slack.token not in str(attempt)


async def test_pagerduty_incident_is_one_by_its_key(
    notifier: Running, log: Log, tmp_path: Path
) -> None:
    server = PagerDutyServer()
    async with served(server.handle) as url:
        key = secret(tmp_path, server.routing_key)
        await notifier.route(
            one_receiver(
                f"  pagerduty_configs: [{{routing_key: '{key}', url: '{url}/v2/enqueue'}}]\n"
            )
        )
        long = {f"label{number}": "x" * 2000 for number in range(60)}
        await log.tell("i1", "OPENED", title="x" * 3000, labels=long)
        await log.tell("i1", "ACKNOWLEDGED", state=ACKNOWLEDGED, owner="user:anna")
        await log.tell("i1", "RESOLVED", state=RESOLVED)
        await notifier.until(lambda found: [n.state for n in found] == [SENT] * 3)
    actions = [(each["event_action"], each["dedup_key"]) for each in server.events]
    expected = ["trigger", "acknowledge", "resolve"]
    assert actions == [(action, "sensus-i1") for action in expected]


async def test_servicenow_record_is_made_once_and_then_written_on(
    notifier: Running, log: Log, tmp_path: Path
) -> None:
    server = ServiceNowServer()
    async with served(server.handle) as url:
        password = secret(tmp_path, server.password)
        await notifier.route(
            one_receiver(
                f"  servicenow_configs: [{{url: '{url}', username: {server.user}, "
                f"password: '{password}'}}]\n"
            )
        )
        await log.tell("i1", "OPENED", title=f"{HOSTILE} {'x' * 400}", severity=WARNING)
        await log.tell("i1", "WORSENED", severity=CRITICAL)
        await log.tell("i1", "RESOLVED", state=RESOLVED)
        await notifier.until(lambda found: [n.state for n in found] == [SENT] * 3)
    (record,) = server.records.values()
    assert record["correlation_id"] == "sensus-i1"
    assert (record["state"], record["urgency"]) == ("6", "1")
    assert len(record["notes"]) == 2
    assert "[code]" not in json.dumps(record)


async def test_webhook_is_signed_with_the_secret_and_never_shows_it(
    notifier: Running, log: Log, hook: Hook, tmp_path: Path
) -> None:
    key, token = secret(tmp_path, "k3y"), secret(tmp_path, "t0ken")
    await notifier.route(
        one_receiver(
            f"  webhook_configs: [{{url: '{hook.url}', secret: '{key}', "
            f"authorization: '{token}'}}]\n"
        )
    )
    await log.tell("i1", "OPENED")
    (taken,) = await hook.until(1)
    parts = dict(each.split("=") for each in taken.headers["x-sensus-signature"].split(","))
    signed = f"{parts['t']}.".encode() + taken.body
    assert parts["v1"] == hmac.new(b"k3y", signed, hashlib.sha256).hexdigest()
    assert taken.headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("status", [200, 500])
async def test_secret_that_a_server_sends_back_is_written_down_nowhere(
    notifier: Running, log: Log, hook: Hook, tmp_path: Path, sql: Any, status: int
) -> None:
    token = secret(tmp_path, "t0ken-of-the-receiver")
    address = secret(tmp_path, f"{hook.url}/services/T0/s3cret-path")
    hook.answer = lambda taken: PlainTextResponse(
        f"{taken.path} {taken.headers['authorization']}" + " " * 900 + "t0ken-of-the-receiver" * 20,
        status_code=status,
    )
    await notifier.route(
        one_receiver(f"  webhook_configs: [{{url: '{address}', authorization: '{token}'}}]\n")
    )
    await log.tell("i1", "OPENED")
    await hook.until(1)
    (notice,) = await notifier.until(
        lambda found: (
            bool(found)
            and found[0].state != notice_pb2.NOTICE_STATE_SENDING
            and found[0].attempt_count > 0
        )
    )
    (kept,) = await sql.fetch("SELECT * FROM notifier.attempt WHERE attempt = 1")
    shown = str((await notifier.get(notice.notice_id)).attempts[0]) + str(dict(kept))
    assert "[secret]" in shown
    assert not any(part in shown for part in ("t0ken", "s3cret", "/services/"))


AGENT_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["agent_name", "environment", "timestamp", "anomaly"],
    "properties": {
        "agent_name": {"type": "string", "minLength": 1},
        "environment": {"type": "string"},
        "timestamp": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        },
        "anomaly": {
            "type": "object",
            "additionalProperties": False,
            "required": ["type", "severity", "message", "value", "threshold"],
            "properties": {
                "type": {"type": "string", "minLength": 1},
                "severity": {"enum": ["info", "warning", "critical"]},
                "message": {"type": "string"},
                "value": {"type": ["number", "null"]},
                "threshold": {"type": ["number", "null"]},
            },
        },
    },
}


async def test_agent_form_is_exactly_the_contract(notifier: Running, log: Log, hook: Hook) -> None:
    await notifier.route(
        one_receiver(f"  webhook_configs: [{{url: '{hook.url}', format: agent}}]\n")
    )
    labels = {"__name__": "node_cpu_usage", "host": "web-1", "value": "97.5"}
    await log.tell("i1", "OPENED", labels=labels, environment="prod")
    await log.tell("i2", "OPENED")
    for taken in await hook.until(2):
        jsonschema.validate(taken.json, AGENT_SCHEMA)
    body = hook.taken[0].json
    assert (body["agent_name"], body["environment"]) == ("web-1", "prod")
    assert body["anomaly"]["type"] == "cpu"
    assert (body["anomaly"]["value"], body["anomaly"]["threshold"]) == (97.5, None)


async def test_alertmanager_form_has_the_group_and_its_alerts(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(
        f"route: {{receiver: r, group_by: [team]}}\nreceivers:\n- name: r\n"
        f"  webhook_configs: [{{url: '{hook.url}', format: alertmanager}}]\n"
    )
    members = [{"alertname": "A", "team": "db"}, {"alertname": "B", "team": "db"}]
    await log.tell("i1", "OPENED", labels={"team": "db"}, members=members)
    await log.tell("i1", "RESOLVED", state=RESOLVED, members=members)
    opened, resolved = [each.json for each in await hook.until(2)]
    assert (opened["version"], opened["status"], resolved["status"]) == ("4", "firing", "resolved")
    assert opened["groupLabels"] == {"team": "db"}
    assert [each["labels"]["alertname"] for each in opened["alerts"]] == ["A", "B"]
    assert opened["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert resolved["alerts"][0]["endsAt"] >= resolved["alerts"][0]["startsAt"]
    assert opened["groupKey"] == resolved["groupKey"]
    assert opened["truncatedAlerts"] == 0


async def test_alertmanager_form_says_how_many_alerts_it_leaves_out(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(
        one_receiver(f"  webhook_configs: [{{url: '{hook.url}', format: alertmanager}}]\n")
    )
    members = [{"alertname": f"a{number}"} for number in range(60)]
    await log.tell("i1", "OPENED", members=members, member_count=70)
    (taken,) = await hook.until(1)
    assert (len(taken.json["alerts"]), taken.json["truncatedAlerts"]) == (50, 20)


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (302, {"Location": "http://127.0.0.1:1/"}, "points elsewhere (302)"),
        (404, {}, "refuses the notice (404)"),
        (401, {}, "refuses the credentials (401)"),
    ],
)
async def test_what_will_never_do_is_not_tried_again(
    notifier: Running, log: Log, hook: Hook, status: int, headers: dict[str, str], error: str
) -> None:
    hook.answer = failing(status, **headers)
    await notifier.route(one_receiver(f"  webhook_configs: [{{url: '{hook.url}'}}]\n"))
    await log.tell("i1", "OPENED")
    (notice,) = await notifier.until(lambda found: [n.state for n in found] == [FAILED])
    (attempt,) = (await notifier.get(notice.notice_id)).attempts
    assert error in attempt.error
    assert len(hook.taken) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_what_may_pass_is_tried_again_when_the_server_says(
    notifier: Running, log: Log, hook: Hook, status: int
) -> None:
    hook.answer = failing(status, **{"Retry-After": "2"})
    await notifier.route(one_receiver(f"  webhook_configs: [{{url: '{hook.url}'}}]\n"))
    await log.tell("i1", "OPENED")
    (notice,) = await notifier.until(
        lambda found: (
            bool(found)
            and found[0].state == notice_pb2.NOTICE_STATE_PENDING
            and found[0].attempt_count > 0
        )
    )
    told = await notifier.get(notice.notice_id)
    began_ms = told.attempts[0].start_time.ToMilliseconds()
    assert told.next_attempt_time.ToMilliseconds() - began_ms >= 2000
    assert told.attempts[0].status == status
    await hook.until(2)
    assert len({each.headers["idempotency-key"] for each in hook.taken}) == 1


async def test_private_address_is_not_asked(start: Any, log: Log, hook: Hook) -> None:
    notifier = await start(private_hosts=())
    await notifier.route(one_receiver(f"  webhook_configs: [{{url: '{hook.url}'}}]\n"))
    await log.tell("i1", "OPENED")
    (notice,) = await notifier.until(lambda found: [n.state for n in found] == [FAILED])
    error = (await notifier.get(notice.notice_id)).attempts[0].error
    assert "its address is private and not allowed" in error
    assert hook.taken == []
