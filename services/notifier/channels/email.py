"""Mail: one thread per incident, text and HTML, TLS unless somebody says otherwise."""

import asyncio
import socket
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from typing import Final

import aiosmtplib

from mesh.outbound import AddressRefused, checked
from services.notifier.channels.http import ConnectionLimits
from services.notifier.channels.message import Message
from services.notifier.channels.secrets import Secrets
from services.notifier.model.incident import Severity
from services.notifier.model.notices import Outcome
from services.notifier.routing.receivers import Email, Integration
from services.notifier.texts.inert import for_html, one_line
from services.notifier.texts.plain import plain

_SUBJECT_CHARS_MAX: Final = 200
_TLS_PORT: Final = 465
_MEMBERS_MAX: Final = 200
_NOT_OFFERED: Final = (aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported)
"""What the library raises for an extension that the server lacks: STARTTLS or AUTH."""

_GO_WITHOUT: Final = "the mail server offers no TLS or no log-in; require_tls: false goes without"
_PAGE: Final = (
    '<!DOCTYPE html><html><body style="font-family:sans-serif"><h3>{title}</h3>{rest}</body></html>'
)


class EmailChannel:
    """Sends by SMTP, a connection per mail."""

    def __init__(self, secrets: Secrets, reaching: ConnectionLimits) -> None:
        """Mail servers are reached by the same rules as web servers."""
        self._secrets = secrets
        self._reaching = reaching

    async def deliver(self, way: Integration, message: Message) -> Outcome:
        """Sends it once, to all addresses; one that takes it is enough."""
        assert isinstance(way, Email)  # noqa: S101
        password = self._secrets.read(way.auth_password)
        mail = mail_of(way, message)
        try:
            async with asyncio.timeout(self._reaching.within_s):
                return await self._send(way, password, mail)
        except AddressRefused as error:
            fault = f"the mail server was not asked: {error}"
            return Outcome(error=fault, is_final=error.is_lasting)
        except TimeoutError:
            return Outcome(error=f"no answer within {self._reaching.within_s:g} s")
        except aiosmtplib.SMTPRecipientsRefused as error:
            worst = max(error.recipients, key=lambda each: each.code)
            return _refused(worst.code, worst.message)
        except aiosmtplib.SMTPResponseException as error:
            return _refused(error.code, error.message)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            if type(error) in _NOT_OFFERED:
                return Outcome(error=_GO_WITHOUT, is_final=True)
            return Outcome(error=f"the mail server cannot be reached ({type(error).__name__})")

    async def _send(self, way: Email, password: str, mail: EmailMessage) -> Outcome:
        host, _, port = way.smarthost.rpartition(":")
        host = host.strip("[]")
        connected = await self._connected(host, int(port))
        client = aiosmtplib.SMTP(
            hostname=host,
            sock=connected,
            local_hostname=way.hello or None,
            use_tls=int(port) == _TLS_PORT,
            start_tls=False if int(port) == _TLS_PORT else True if way.require_tls else None,
            username=way.auth_username or None,
            password=password or None,
            timeout=self._reaching.within_s,
        )
        async with client:
            refused, answer = await client.send_message(mail)
        kept = f"{answer}; not for {', '.join(refused)}" if refused else answer
        return Outcome(status=250, answer=kept[:1024].replace("\0", ""))

    async def _connected(self, host: str, port: int) -> socket.socket:
        """A connection to a checked address: a name that changes in between gains nothing."""
        reaching = self._reaching
        addresses = await checked(
            host,
            port,
            private_hosts=reaching.private_hosts,
            within_s=reaching.within_s,
            resolve=reaching.resolve,
        )
        problem: OSError = OSError("no address")
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            found = socket.socket(family, socket.SOCK_STREAM)
            found.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(found, (address, port))
            except OSError as error:
                found.close()
                problem = error
            except BaseException:
                found.close()
                raise
            else:
                return found
        raise problem


def mail_of(way: Email, message: Message) -> EmailMessage:
    """The mail. All mails of an incident refer to one that never was, so that they are a thread."""
    mail = EmailMessage(policy=SMTP)
    sender = parseaddr(way.sender)
    domain = sender[1].rpartition("@")[2] or "sensus.invalid"
    mail["From"] = _address(sender)
    mail["To"] = [_address(parseaddr(each)) for each in way.to.split(",")]
    mail["Subject"] = one_line(message.notice_text.title, _SUBJECT_CHARS_MAX)
    mail["Date"] = formatdate(message.now_ms / 1000)
    mail["Message-ID"] = f"<notice.{message.notice.notice_id}@{domain}>"
    root = f"<incident.{_safe(message.thread)}@{domain}>"
    mail["In-Reply-To"] = root
    mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"
    if message.notice.severity is Severity.CRITICAL:
        mail["X-Priority"] = "1"
    mail.set_content(plain(message.notice_text, message.members))
    if way.html and not message.notice_text.body:
        mail.add_alternative(_html(message), subtype="html")
    return mail


def _address(parsed: tuple[str, str]) -> Address:
    name, address = parsed
    return Address(display_name=one_line(name, 100), addr_spec=address)


def _html(message: Message) -> str:
    notice_text = message.notice_text
    parts = [f"<p>{for_html(notice_text.summary, 2000)}</p>"] if notice_text.summary else []
    rows = "".join(
        f"<tr><td><b>{for_html(name, 100)}</b></td><td>{for_html(value, 500)}</td></tr>"
        for name, value in notice_text.facts
    )
    parts += [f"<table>{rows}</table>"] if rows else []
    members = "".join(f"<li>{for_html(each)}</li>" for each in message.members[:_MEMBERS_MAX])
    parts += [f"<ul>{members}</ul>"] if members else []
    if notice_text.link:
        link = for_html(notice_text.link, 2000).replace("\u200b", "")
        parts.append(f'<p><a href="{link}">Open the incident</a></p>')
    return _PAGE.format(title=for_html(notice_text.title), rest="".join(parts))


def _safe(thread: str) -> str:
    return "".join(each if each.isalnum() and each.isascii() else "-" for each in thread)[:200]


def _refused(code: int, answer: str) -> Outcome:
    """SMTP says itself what will never do: 5yz."""
    return Outcome(
        status=code,
        answer=answer[:1024].replace("\0", ""),
        error=f"the mail server refuses the mail ({code})",
        is_final=500 <= code < 600,
    )
