"""One request and its answer: uvicorn's, with less work for each.

An answer leaves in one write, its head together with the first bytes of its body, and the head is
checked as a whole: of uvicorn both cost more than the bounds of `Connection`.
"""

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent

_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_CONTROLS: Final = bytes([*range(9), *range(10, 32), 127])
_BODILESS: Final = frozenset({204, 304})


class Exchange(RequestResponseCycle):
    """Writes what it is sent; a head that tells the length waits for the body."""

    _head = b""

    async def send(self, message: "ASGISendEvent") -> None:
        """Writes a part of the answer.

        Raises:
            RuntimeError: No part that can come now, or none that HTTP can carry.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.body" and self._is_open():
            self._write(message.get("body", b""), is_last=not message.get("more_body", False))
        elif message["type"] == "http.response.start" and not self.response_started:
            self._begin(message)
        else:
            await super().send(message)  # says what is wrong with it

    def _is_open(self) -> bool:
        return self.response_started and not self.response_complete

    def _begin(self, message: "HTTPResponseStartEvent") -> None:
        self.response_started, self.waiting_for_100_continue = True, False
        status = message["status"]
        headers = [*self.default_headers, *message.get("headers", ())]
        fields = dict(headers)
        if b"close" in fields.get(b"connection", b"").lower():
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        if (length := fields.get(b"content-length")) is not None:
            self.expected_content_length, self.chunked_encoding = int(length), False
        elif self.scope["method"] != "HEAD" and status not in _BODILESS:
            self.chunked_encoding = True
            headers.append((b"transfer-encoding", b"chunked"))
        self._head = _written(STATUS_LINE[status], headers)
        if self.chunked_encoding:
            self._put(b"")

    def _write(self, body: bytes, *, is_last: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"0\r\n\r\n" if is_last else b""
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its Content-Length")
        if is_last and self.expected_content_length:
            raise RuntimeError("the body is shorter than its Content-Length")
        self._put(body)
        if is_last:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _put(self, data: bytes) -> None:
        if data := self._head + data:
            self.transport.write(data)
        self._head = b""


def _written(status_line: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The head of an answer.

    Raises:
        RuntimeError: A name is no token in lower case, or a header would be more than one line.
    """
    if b"".join([name for name, _ in headers]).translate(None, _TOKEN):
        raise RuntimeError("the name of a header is no token in lower case")
    lines = [b"%b: %b\r\n" % header for header in headers]
    head = b"%b%b\r\n" % (status_line, b"".join(lines))
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(lines) + 2):
        raise RuntimeError("the value of a header has a control character")
    return head
