"""One HTTP connection: uvicorn's, with the bounds that uvicorn leaves to a proxy in front."""

import asyncio
import re
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mesh.errors import InvalidInput, SensusError
from services.gateway.http.admission import Admission
from services.gateway.http.exchange import Exchange
from services.gateway.http.problems import (
    BodyTooSlow,
    HeadTooLarge,
    HeadTooSlow,
    TargetTooLong,
    problem_response,
)
from services.gateway.http.timeouts import Timeouts
from services.gateway.metrics import CONNECTIONS, CONNECTIONS_CUT

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
OTHER_METHOD: Final = "_OTHER"
PROBES_ONLY: Final = "sensus.probes_only"

_READER_BYTES: Final = 32 * 1024
"""What a peer must read within `reader_s` of an answer that waits for it."""
_TARGET_BYTES: Final = 8 * 1024
_HEAD_BYTES: Final = 32 * 1024
_HEADERS: Final = 100
_PIPELINED: Final = 16
_NEVER: Final = float("inf")

_START: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) ")
_KNOWN: Final = frozenset(method.encode() for method in METHODS)
_STAND_IN: Final = b"PURGE"


class Connection(HttpToolsProtocol):
    """Bounds the head in bytes and time, idleness, slow readers and pipelining.

    What is overdue is found by `check`, which the server calls every second: that costs a request
    no timer. At a method that the parser does not know it would give the connection up; so one is
    parsed as another that nobody serves. The scope names both `_OTHER`: what a caller writes there
    becomes no label and no name.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
        *,
        admission: Admission,
        timeouts: Timeouts,
    ) -> None:
        """Made by uvicorn, save for the last two."""
        super().__init__(config, server_state, app_state, _loop)
        self.address = ""
        self._admission = admission
        self._timeouts = timeouts
        self._is_admitted = False
        self._is_gone = False
        self._is_refused = False
        self._is_head_open = False
        self._is_whole = True
        self._head_bytes = 0
        self._due_s = _NEVER
        self._body_ends_s = _NEVER
        self._unsent_bytes = 0
        self._refusal: SensusError | None = None
        self._last_answer = b""

    def connection_made(self, transport: Any) -> None:
        """Begins to wait for a request."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._is_admitted = self._admission.admit(self)
        self._due(self._timeouts.head_s)
        CONNECTIONS.inc()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives its place away."""
        super().connection_lost(exc)
        self._leave()
        CONNECTIONS.dec()

    def cut(self, reason: str) -> None:
        """Ends it at once; `reason` becomes a label."""
        CONNECTIONS_CUT.labels(reason).inc()
        self._leave()
        self.transport.abort()

    def check(self, now_s: float) -> None:
        """Ends what is overdue: with 408 where a request was begun, else without a word."""
        if now_s < self._due_s or self._is_reading():
            return
        if self._is_whole or self._is_refused or self._is_answered():
            self.cut("slow_reader" if self._unsent_bytes else "idle")
        elif self._is_head_open:
            self._refuse(HeadTooSlow(f"send the whole head within {self._timeouts.head_s:g} s"))
        elif self.flow.read_paused:
            self._due(self._timeouts.body_part_s)
        else:
            most = f"{self._timeouts.body_part_s:g} s and all within {self._timeouts.body_s:g} s"
            self._refuse(BodyTooSlow(f"send each part of the body within {most}"))

    def data_received(self, data: bytes) -> None:
        """Parses; what comes after a refusal is not looked at."""
        if self._is_refused:
            return
        was_open = self._is_head_open
        try:
            self.parser.feed_data(self._with_known_method(data) if self._is_whole else data)
            if was_open and self._is_head_open:
                self._head_bytes += len(data)
                if self._head_bytes > _HEAD_BYTES:
                    raise self._head_too_large()
            if not self._is_whole:
                self._await_rest(is_head_begun=was_open)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_on_without_upgrade(data[upgrade.args[0] :])
        except (httptools.HttpParserError, SensusError):
            refusal, self._refusal = self._refusal, None
            self._refuse(refusal or InvalidInput("this is not HTTP/1.1", reason="HTTP_BROKEN"))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._is_head_open, self._is_whole, self._head_bytes = True, False, 0
        self._body_ends_s = _NEVER

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        super().on_url(url)
        if len(self.url) > _TARGET_BYTES:
            raise self._because(TargetTooLong(f"the target is over {_TARGET_BYTES} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; one that comes after the body is left out."""
        if self._is_head_open:
            self.headers.append((name.lower(), value))
            self._head_bytes += len(name) + len(value)
            if self._head_bytes > _HEAD_BYTES or len(self.headers) > _HEADERS:
                raise self._head_too_large()

    def on_headers_complete(self) -> None:
        """The request can be answered, if not too many wait before it."""
        is_upgrade = self.parser.should_upgrade()
        if len(self.pipeline) >= _PIPELINED and not is_upgrade:
            raise self._because(InvalidInput("wait for answers before you send more"))
        self._is_head_open = False
        if is_upgrade:
            return
        before, self.cycle = self.cycle, self._exchange()
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        self._admission.busy(self)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.parser.should_upgrade():
            return
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()
        self._is_whole = True
        self._due_s = _NEVER
        if self.cycle.response_complete:
            self._wait()

    def on_response_complete(self) -> None:
        """The answer is written, though maybe not read."""
        is_last = not self.pipeline
        self._go_on()
        if is_last and self._last_answer and not self.transport.is_closing():
            self._close_with(self._last_answer)
        elif self.transport.is_closing() or (is_last and not self._is_whole):
            self._due(self._timeouts.rest_s)
        elif is_last:
            self._wait()

    def pause_writing(self) -> None:
        """The peer reads slower than we write."""
        super().pause_writing()
        self._due(self._timeouts.reader_s)

    def resume_writing(self) -> None:
        """The peer has read on."""
        super().resume_writing()
        is_answered = self.cycle is None or self.cycle.response_complete
        self._due_s = self.loop.time() + self._timeouts.keep_alive_s if is_answered else _NEVER

    def _exchange(self) -> Exchange:
        """What answers the request whose head was read."""
        method, version = self.parser.get_method().decode("ascii"), self.parser.get_http_version()
        self.scope["method"] = method if method in METHODS else OTHER_METHOD
        self.scope["http_version"] = version
        path, raw_path, query = _target(self.url)
        self.scope["path"] = path
        self.scope["raw_path"] = raw_path
        self.scope["query_string"] = query
        if not self._is_admitted:
            self.scope[PROBES_ONLY] = True  # type: ignore[typeddict-unknown-key]
        return Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=dict(self.headers).get(b"expect", b"").lower() == b"100-continue",
            keep_alive=self._is_admitted and version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def _await_rest(self, *, is_head_begun: bool) -> None:
        """Bounds the time until more of a request comes, once for all that a read has of it."""
        is_answered = self.cycle is None or self.cycle.response_complete
        if self._is_head_open:
            if is_answered and not is_head_begun:
                self._due(self._timeouts.head_s)
        elif not is_answered:
            self._due(self._timeouts.body_part_s)
            if self._body_ends_s == _NEVER:
                self._body_ends_s = self.loop.time() + self._timeouts.body_s
            self._due_s = min(self._due_s, self._body_ends_s)

    def _go_on(self) -> None:
        """As in uvicorn, but without a timer per answer: `check` ends idle connections."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def _wait(self) -> None:
        self._due(self._timeouts.keep_alive_s)
        if self._is_admitted and not self._is_gone:
            self._admission.waiting(self)

    def _leave(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._admission.leave(self, admitted=self._is_admitted)

    def _due(self, within_s: float) -> None:
        self._due_s = self.loop.time() + within_s
        self._unsent_bytes = self.transport.get_write_buffer_size()

    def _is_answered(self) -> bool:
        """Whether an answer to what still comes was begun."""
        return not self._is_head_open and self.cycle is not None and self.cycle.response_started

    def _is_reading(self) -> bool:
        """Whether the peer has read enough of what waits for it to be given more time."""
        has_read = self._unsent_bytes - self.transport.get_write_buffer_size()
        if has_read < min(_READER_BYTES, self._unsent_bytes or 1):
            return False
        self._due(self._timeouts.reader_s)
        return True

    def _head_too_large(self) -> SensusError:
        limits = f"{_HEADERS} headers and {_HEAD_BYTES} bytes"
        return self._because(HeadTooLarge(f"send no more than {limits}"))

    def _because(self, refusal: SensusError) -> SensusError:
        """Keeps the refusal: the parser hides what its callbacks raise."""
        self._refusal = refusal
        return refusal

    def _with_known_method(self, data: bytes) -> bytes:
        if data[: data.find(b" ")] in _KNOWN or (start := _START.match(data)) is None:
            return data
        return _STAND_IN + data[start.end(1) :]

    def _read_on_without_upgrade(self, rest: bytes) -> None:
        """Reads the request again as one that asks for no upgrade.

        We offer none, so it is to be ignored (RFC 9110, 7.8), but the parser would take the body
        for the other protocol. The HTTP client of Java asks for h2c with every first request.
        """
        head = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1"]
        head += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self._is_whole = True
        self.data_received(b"\r\n".join(head) + b"\r\n\r\n" + rest)

    def _is_turn(self) -> bool:
        """Whether an answer may stand at this place of the connection."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return not (self._is_head_open or self._is_whole or self.cycle.response_started)

    def _refuse(self, refusal: SensusError) -> None:
        """Answers and closes: after the requests before it, and never inside another answer."""
        CONNECTIONS_CUT.labels(refusal.reason.lower()).inc()
        self._is_refused = True
        is_next = self._is_head_open or self._is_whole
        if not self.pipeline and self._is_turn():
            self._close_with(_written(refusal))
        elif is_next:
            self._last_answer = _written(refusal)
        else:
            self.transport.abort()

    def _close_with(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()
        self._due(self._timeouts.rest_s)


@lru_cache(256)
def _target(target: bytes) -> tuple[str, bytes, bytes]:
    """The path of a request, decoded and as it came, and its query."""
    parsed = httptools.parse_url(target)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


def _written(refusal: SensusError) -> bytes:
    response = problem_response(refusal)
    status = HTTPStatus(response.status_code)
    head = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode()), b"connection: close"]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + bytes(response.body)
