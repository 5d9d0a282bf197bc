"""What takes the notices of the demonstration: a web server and a mail server of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final

HOST: Final = "127.0.0.1"
_BYTES_MAX: Final = 1024 * 1024
_TAKEN: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TELLS: Final = {"EHLO": "250 demo", "DATA": "354 end with a dot", "QUIT": "221 bye"}

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Receivers:
    """All that came in, oldest first."""

    webhook_port: int = 0
    mail_port: int = 0
    posts: list[dict[str, Any]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def routing(self) -> str:
        """Tells both of every incident."""
        return f"""
route: {{receiver: demo}}
receivers:
- name: demo
  webhook_configs: [{{url: 'http://{HOST}:{self.webhook_port}/notices'}}]
  email_configs:
  - to: on-call@demo.example
    from: Sensus <sensus@demo.example>
    smarthost: {HOST}:{self.mail_port}
    require_tls: false
"""

    async def take_post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One HTTP request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        size = int(head.partition("content-length:")[2].split("\r\n")[0])
        self.posts.append(json.loads(await reader.readexactly(size)))
        writer.write(_TAKEN)
        self.grown.set()

    async def take_mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session of SMTP, in as few words as a client needs."""
        writer.write(b"220 demo\r\n")
        while line := (await reader.readline()).decode("latin-1").strip():
            verb = line[:4].upper()
            writer.write(f"{_TELLS.get(verb, '250 ok')}\r\n".encode())
            if verb == "QUIT":
                return
            if verb == "DATA":
                text = await reader.readuntil(b"\r\n.\r\n")
                plain = text[:-3].replace(b"\r\n..", b"\r\n.")
                self.mails.append(message_from_bytes(plain, policy=policy.default))
                writer.write(b"250 taken\r\n")
                self.grown.set()


@asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    """Both, on free ports, while the block runs."""
    taken = Receivers()
    async with (
        _served(taken.take_post) as taken.webhook_port,
        _served(taken.take_mail) as taken.mail_port,
    ):
        yield taken


@asynccontextmanager
async def _served(talk: Talk) -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # who talks nonsense gets no answer, and tries again
        finally:
            writer.close()

    server = await asyncio.start_server(handle, HOST, 0, limit=_BYTES_MAX)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
