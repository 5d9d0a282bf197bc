"""One HTTP request to a receiver's server, and its answer in few words."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from mesh.outbound import AddressRefused, GuardedTransport, Resolve
from services.notifier.model.notices import Outcome

ANSWER_BYTES_MAX: Final = 64 * 1024
KEPT_BYTES: Final = 1024
RETRY_AFTER_MAX_S: Final = 3600.0
RETRIED: Final = frozenset({408, 425, 429})
"""Of 4xx; all others say that the same request will never do."""

_ONE_REQUEST_EACH: Final = httpx.Limits(max_keepalive_connections=0)
"""A connection is to an address: kept, it would serve another name there with its certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said. `body` is whole up to a bound; `outcome` is what it means by HTTP."""

    body: bytes
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How servers are reached.

    Attributes:
        within_s: The whole of one request.
        private_hosts: Hosts that may have a private address.
        resolve: Finds addresses; the machine's resolver by default.
    """

    within_s: float
    private_hosts: frozenset[str]
    resolve: Resolve | None = None


class Http:
    """Sends; redirects, proxies of the environment and compressed answers are not used."""

    def __init__(self, client: httpx.AsyncClient, within_s: float) -> None:
        """`client` is closed by who opened it."""
        self._client = client
        self._within_s = within_s

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        share: float = 1.0,
    ) -> Answer:
        """One request. What goes wrong is in the outcome; nothing of it holds the address.

        Args:
            method: As in HTTP.
            url: Whom.
            headers: More of them.
            body: Whole.
            share: Of the wait for an answer, for what is not worth all of it.
        """
        within_s = share * self._within_s
        sent = {"Accept-Encoding": "identity", "User-Agent": "Sensus", **headers}
        try:
            async with (
                asyncio.timeout(within_s),
                self._client.stream(method, url, headers=sent, content=body) as response,
            ):
                return _answer(response, await _body(response))
        except AddressRefused as error:
            return _failed(f"the server was not asked: {error}", is_final=error.is_lasting)
        except (TimeoutError, httpx.TimeoutException):
            return _failed(f"no answer within {within_s:g} s")
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            return _failed(f"cannot be reached ({type(error).__name__})")
        except (httpx.InvalidURL, ValueError, UnicodeError):
            return _failed("the address cannot be used: check its form", is_final=True)


@asynccontextmanager
async def open_http(reaching: ConnectionLimits) -> AsyncIterator[Http]:
    """A client whose connections lead to checked addresses only."""
    transport = GuardedTransport(
        httpx.AsyncHTTPTransport(trust_env=False, limits=_ONE_REQUEST_EACH),
        private_hosts=reaching.private_hosts,
        within_s=reaching.within_s,
        resolve=reaching.resolve,
    )
    timeout = httpx.Timeout(reaching.within_s)
    async with httpx.AsyncClient(
        transport=transport, timeout=timeout, follow_redirects=False, trust_env=False
    ) as client:
        yield Http(client, reaching.within_s)


def text_of(body: bytes) -> str:
    """The first kilobyte as text that a database takes."""
    return body[:KEPT_BYTES].decode("utf-8", errors="replace").replace("\0", "\ufffd")


def retry_after_s(value: str, now: datetime | None = None) -> float:
    """What a Retry-After header asks for, in seconds or as a date; at most an hour, 0 for none.

    >>> retry_after_s("30"), retry_after_s("-1"), retry_after_s("soon"), retry_after_s("1e9")
    (30.0, 0.0, 0.0, 3600.0)
    """
    try:
        wait_s = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
            aware = until if until.tzinfo else until.replace(tzinfo=UTC)
            wait_s = (aware - (now or datetime.now(UTC))).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return 0.0
    return min(max(wait_s, 0.0), RETRY_AFTER_MAX_S) if math.isfinite(wait_s) else 0.0


async def _body(response: httpx.Response) -> bytes:
    """As far as it is read; the rest of a larger answer is left where it is."""
    found = b""
    async for piece in response.aiter_raw():
        found += piece
        if len(found) >= ANSWER_BYTES_MAX:
            break
    return found[:ANSWER_BYTES_MAX]


def _answer(response: httpx.Response, body: bytes) -> Answer:
    status = response.status_code
    error = "" if 200 <= status < 300 else _meaning(status)
    return Answer(
        body=body,
        outcome=Outcome(
            status=status,
            answer=text_of(body),
            error=error,
            is_final=300 <= status < 500 and status not in RETRIED,
            retry_after_s=retry_after_s(response.headers.get("retry-after", "")),
        ),
    )


def _meaning(status: int) -> str:
    if 300 <= status < 400:
        return f"the server points elsewhere ({status}): write the address it points to"
    if status in (401, 403):
        return f"the server refuses the credentials ({status})"
    if status in RETRIED:
        return f"the server wants to be asked later ({status})"
    if status < 500:
        return f"the server refuses the notice ({status})"
    return f"the server failed ({status})"


def _failed(error: str, *, is_final: bool = False) -> Answer:
    return Answer(body=b"", outcome=Outcome(error=error, is_final=is_final))
