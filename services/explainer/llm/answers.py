"""What is common to the answers of all servers: bounded lines, and failures in few words."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from services.explainer.llm.provider import ProviderError

ANSWER_BYTES_MAX: Final = 1024 * 1024
LINE_BYTES_MAX: Final = 256 * 1024

PLAIN: Final = {"Accept-Encoding": "identity"}
"""No compression: a small answer could unpack into one that fills the memory."""

_RETRY_AFTER_MAX_S: Final = 300.0


@contextmanager
def in_few_words() -> Iterator[None]:
    """Raises `ProviderError` for whatever HTTP cannot do."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise ProviderError("timeout") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderError("unreachable") from error


def check_status(response: httpx.Response) -> None:
    """Raises `ProviderError` unless the answer is 200; a redirect is not followed."""
    if response.status_code != httpx.codes.OK:
        told = f"status {response.status_code}"
        raise ProviderError(told, retry_after_s=_retry_after_s(response))


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


def _retry_after_s(response: httpx.Response) -> float:
    told = response.headers.get("retry-after", "")
    return min(float(told), _RETRY_AFTER_MAX_S) if told.isascii() and told.isdigit() else 0.0
