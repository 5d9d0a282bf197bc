"""Mail, over a server that takes what a real one takes."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from sensus.notifier.v1 import notice_pb2
from tests.notifier.conftest import Running
from tests.notifier.peers import (
    RESOLVED,
    Log,
    one_receiver,
)

SENT = notice_pb2.NOTICE_STATE_SENT
FAILED = notice_pb2.NOTICE_STATE_FAILED
HOSTILE = (
    "<!channel> <@U1> @here <b>x</b> http://evil.example/\r\nBcc: all@example.com\u202e [code]<i>"
)


class Mailbox:
    """A mail server's store."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.ids: set[str] = set()
        self.refusal = ""
        self.refused = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Takes a mail, or refuses it as it is told."""
        assert isinstance(envelope.content, bytes)
        parsed: Any = message_from_bytes(envelope.content, policy=policy.default)
        self.ids.add(parsed["Message-ID"])
        if self.refusal:
            self.refused += 1
            return self.refusal
        self.mails.append(parsed)
        return "250 taken"


@pytest.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, int]]:
    """A running mail server; its store and its port."""
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, hostname="mail.example", enable_SMTPUTF8=True), host="127.0.0.1", port=0
    )
    async with server:
        yield box, server.sockets[0].getsockname()[1]


def mail_routing(port: int, more: str = "") -> str:
    """A routing to the mail server."""
    return one_receiver(
        f"  email_configs: [{{to: 'ops@example.com', from: 'Sensus <sensus@example.com>', "
        f"smarthost: '127.0.0.1:{port}', require_tls: false{more}}}]\n"
    )


async def test_mails_of_an_incident_are_one_thread(
    notifier: Running, log: Log, mailbox: tuple[Mailbox, int]
) -> None:
    box, port = mailbox
    await notifier.route(mail_routing(port))
    await log.tell("i1", "OPENED")
    await log.tell("i1", "RESOLVED", state=RESOLVED)
    await notifier.until(lambda found: [n.state for n in found] == [SENT, SENT])
    first, second = box.mails
    assert first["References"] == second["References"] == "<incident.i1@example.com>"
    assert first["Message-ID"] != second["Message-ID"]
    assert first["Subject"].startswith("[CRITICAL] opened: checkout fails")
    assert first["To"] == "ops@example.com"
    html = first.get_body(("html",))
    assert html is not None
    assert 'href="https://sensus.example/incidents/i1"' in html.get_content()


async def test_hostile_text_breaks_no_header_of_a_mail_and_makes_no_link(
    notifier: Running, log: Log, mailbox: tuple[Mailbox, int]
) -> None:
    box, port = mailbox
    await notifier.route(mail_routing(port))
    await log.tell("i1", "OPENED", title=HOSTILE, labels={"x": HOSTILE, "y": "<script>a</script>"})
    await notifier.until(lambda found: [n.state for n in found] == [SENT])
    (mail,) = box.mails
    assert mail["Bcc"] is None
    assert "\n" not in mail["Subject"]
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        text = part.get_content()
        assert "http://evil" not in text
        assert "\u202e" not in text
        if kind == "html":
            assert "<b>x" not in text
            assert "<script>" not in text


@pytest.mark.parametrize(
    ("refusal", "state", "attempts"),
    [("550 no such user", FAILED, 1), ("451 later", SENT, 2)],
    ids=["final", "for-now"],
)
async def test_mail_server_says_itself_what_is_final(
    notifier: Running,
    log: Log,
    mailbox: tuple[Mailbox, int],
    refusal: str,
    state: int,
    attempts: int,
) -> None:
    box, port = mailbox
    box.refusal = refusal
    await notifier.route(mail_routing(port))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda _: box.refused > 0)
    if state == SENT:
        box.refusal = ""
    (notice,) = await notifier.until(lambda found: [n.state for n in found] == [state])
    assert notice.attempt_count >= attempts
    assert len(box.ids) == 1


async def test_mail_without_tls_is_not_sent_unless_somebody_says_so(
    notifier: Running, log: Log, mailbox: tuple[Mailbox, int]
) -> None:
    box, port = mailbox
    await notifier.route(mail_routing(port).replace(", require_tls: false", ""))
    await log.tell("i1", "OPENED")
    (notice,) = await notifier.until(lambda found: [n.state for n in found] == [FAILED])
    assert "TLS" in (await notifier.get(notice.notice_id)).attempts[0].error
    assert box.mails == []
