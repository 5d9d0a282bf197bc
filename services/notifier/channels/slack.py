"""Slack: one message per incident, edited as it changes, and what happens to it in its thread."""

from typing import Any, Final

import msgspec

from services.notifier.channels.http import Http, text_of
from services.notifier.channels.message import Message
from services.notifier.channels.secrets import Secrets
from services.notifier.model.notices import Kind, Outcome
from services.notifier.routing.receivers import Integration, Slack
from services.notifier.texts.inert import for_slack

FIELD_CHARS_MAX: Final = 300
TITLE_CHARS_MAX: Final = 250
SECTION_CHARS_MAX: Final = 2900
"""Slack takes 3000 characters in a section."""

_MEMBERS_MAX: Final = 20
_EDIT_SHARE: Final = 0.4
"""Ends with the reply before it within one delivery: a reply that was made is not made again."""

_RETRIED: Final = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"}
    | {"request_timeout", "message_limit_exceeded"}
)
_GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


class SlackChannel:
    """Speaks Slack's Web API as a bot."""

    def __init__(self, http: Http, secrets: Secrets) -> None:
        """Sends by `http`."""
        self._http = http
        self._secrets = secrets

    async def deliver(self, way: Integration, message: Message) -> Outcome:
        """The first notice of an incident is a message; further ones answer in its thread.

        The message itself is edited, so that the channel shows how each incident stands.
        """
        assert isinstance(way, Slack)  # noqa: S101
        channel, _, timestamp = message.reference.partition("/")
        if not timestamp:
            if message.notice.kind is Kind.EDITED:
                return Outcome(status=200, answer="there is no message to edit")
            return await self._call(way, "chat.postMessage", _body(way.channel, message))
        if message.notice.kind is not Kind.EDITED:
            reply = _body(channel, message) | {
                "thread_ts": timestamp,
                # who watches the channel alone must see what is new and bad
                "reply_broadcast": message.notice.kind in _LOUD,
            }
            said = await self._call(way, "chat.postMessage", reply)
            if not said.is_sent:
                return said
        body = _body(channel, message) | {"ts": timestamp}
        edited = await self._call(way, "chat.update", body, share=_EDIT_SHARE)
        if edited.is_sent or message.notice.kind is not Kind.EDITED:
            return Outcome(
                status=edited.status or 200, answer=edited.answer, reference=message.reference
            )
        if any(gone in edited.answer for gone in _GONE):
            return Outcome(status=200, answer=edited.answer)
        return edited

    async def _call(
        self, way: Slack, method: str, body: dict[str, Any], *, share: float = 1.0
    ) -> Outcome:
        headers = {
            "Authorization": f"Bearer {self._secrets.read(way.token)}",
            "Content-Type": "application/json; charset=utf-8",
        }
        url = f"{way.api_url.rstrip('/')}/{method}"
        answer = await self._http.send(
            "POST", url, headers=headers, body=msgspec.json.encode(body), share=share
        )
        return _outcome(answer.body, answer.outcome) if answer.outcome.is_sent else answer.outcome


_LOUD: Final = frozenset({Kind.WORSENED, Kind.AGAIN, Kind.ESCALATED, Kind.UNATTENDED})


def _outcome(body: bytes, outcome: Outcome) -> Outcome:
    """Slack answers 200 to what it refuses, too, and says so in the body."""
    try:
        said = msgspec.json.decode(body)
        ok, error = said.get("ok") is True, str(said.get("error") or "no reason given")
    except (msgspec.DecodeError, AttributeError, UnicodeError):
        return Outcome(
            status=outcome.status, answer=text_of(body), error="Slack's answer is no JSON"
        )
    if ok:
        reference = f"{said.get('channel', '')}/{said.get('ts', '')}"
        return Outcome(status=outcome.status, answer=text_of(body), reference=reference[:200])
    return Outcome(
        status=outcome.status,
        answer=text_of(body),
        error=f"Slack refuses the message: {for_slack(error, 60)}",
        is_final=error not in _RETRIED,
        retry_after_s=outcome.retry_after_s,
    )


def _body(channel: str, message: Message) -> dict[str, Any]:
    title = for_slack(message.notice_text.title, TITLE_CHARS_MAX)
    return {
        "channel": channel,
        "text": title,
        "blocks": _blocks(title, message),
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _blocks(title: str, message: Message) -> list[dict[str, Any]]:
    notice_text = message.notice_text
    blocks = [_section(f"*{title}*" if title else "-")]
    if notice_text.body:
        blocks.append(
            _section("\n".join(for_slack(x, 2000) for x in notice_text.body.splitlines()))
        )
        return blocks
    if notice_text.summary:
        blocks.append(_section(for_slack(notice_text.summary, 1500)))
    rows = [
        f"*{for_slack(name, 60)}*: {for_slack(value, FIELD_CHARS_MAX)}"
        for name, value in notice_text.facts
    ]
    rows += [f"• {for_slack(each, FIELD_CHARS_MAX)}" for each in message.members[:_MEMBERS_MAX]]
    if len(message.members) > _MEMBERS_MAX:
        rows.append(f"and {len(message.members) - _MEMBERS_MAX} more")
    if rows:
        blocks.append(_section("\n".join(rows)))
    if notice_text.link:
        blocks.append(_section(f"<{notice_text.link}|Open the incident>"))
    return blocks


def _section(text: str) -> dict[str, Any]:
    """Markup that Slack takes as it is: nothing in it becomes a link or a mention by itself."""
    shown = text if len(text) <= SECTION_CHARS_MAX else text[: SECTION_CHARS_MAX - 1] + "…"
    return {"type": "section", "text": {"type": "mrkdwn", "text": shown or "-", "verbatim": True}}
