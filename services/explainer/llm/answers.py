"""What is common to the answers of all servers: bounded lines, and failures in few words."""

import logging
import math
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import httpx
import msgspec

from mesh.outbound import AddressRefused
from services.explainer.llm.provider import ProviderError, Usage

T = TypeVar("T")

ANSWER_BYTES_MAX: Final = 1024 * 1024
LINE_BYTES_MAX: Final = 256 * 1024

_RETRY_AFTER_MAX_S: Final = 300.0
_TOKENS_MAX: Final = 2**31 - 1
_STATUSES: Final = {
    401: "the key was refused",
    402: "the account there has no credit left",
    403: "the key was refused",
    404: "the model or the address is not known there",
    408: "its server gave up waiting",
    413: "the question was too large",
    429: "too many requests",
}
_CLASSES: Final = {
    3: "its address points elsewhere",
    4: "the request was refused",
    5: "its server failed",
}

logger = logging.getLogger(__name__)


@contextmanager
def in_few_words() -> Iterator[None]:
    """Raises `ProviderError` for whatever goes wrong inside."""
    try:
        yield
    except ProviderError:
        raise
    except AddressRefused as error:
        raise ProviderError(str(error)) from error
    except httpx.TimeoutException as error:
        raise ProviderError("timeout") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderError("unreachable") from error
    except Exception as error:
        logger.exception("unforeseen error of a language model")
        raise ProviderError("unforeseen error") from error


def check_status(response: httpx.Response) -> None:
    """Raises `ProviderError` unless the answer is 200; a redirect is not followed."""
    status = response.status_code
    if status != httpx.codes.OK:
        text = _STATUSES.get(status) or _CLASSES.get(status // 100, "its server gave no answer")
        raise ProviderError(f"{text} ({status})", retry_after_s=retry_after_s(response))


def decoded(decode: Callable[[bytes], T], data: bytes) -> T:
    """One part of an answer; raises `ProviderError` when it is no JSON of that form, or no text."""
    try:
        return decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ProviderError("broken stream") from None


async def lines_of(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The lines that are not blank, as they come.

    Raises:
        ProviderError: The answer or one of its lines is too large.
    """
    rest, total = b"", 0
    async for data in response.aiter_raw():
        total += len(data)
        *whole, rest = (rest + data).split(b"\n")
        if total > ANSWER_BYTES_MAX or len(rest) > LINE_BYTES_MAX:
            raise ProviderError("answer too large")
        for line in whole:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


async def body_of(response: httpx.Response) -> bytes:
    """The whole answer; raises `ProviderError` when it is too large."""
    body = bytearray()
    async for data in response.aiter_raw():
        body += data
        if len(body) > ANSWER_BYTES_MAX:
            raise ProviderError("answer too large")
    return bytes(body)


def cut_reason(*, spoke: bool, thought: bool) -> str:
    """Why an answer is not whole that came to the end of its tokens."""
    return "its thoughts used up the answer" if thought and not spoke else "answer cut"


def usage_of(input_tokens: int | None, output_tokens: int | None) -> Usage:
    """Tokens as a server told them, within what can be stored; 0 for none."""
    return Usage(input_tokens=_bounded(input_tokens), output_tokens=_bounded(output_tokens))


def retry_after_s(response: httpx.Response) -> float:
    """How long to wait, at most five minutes; 0 when nothing that can be read is said."""
    text = response.headers.get("retry-after", "").strip()
    wait_s = _seconds(text)
    if wait_s is None:
        wait_s = _seconds_until(text)
    return min(max(0.0, wait_s), _RETRY_AFTER_MAX_S)


def _bounded(tokens: int | None) -> int:
    return max(0, min(tokens or 0, _TOKENS_MAX))


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return None if math.isnan(seconds) else seconds


def _seconds_until(text: str) -> float:
    """Seconds from now to an HTTP date, by the clock of this machine."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - datetime.now(UTC)).total_seconds()
