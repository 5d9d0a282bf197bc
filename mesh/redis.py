"""Redis Streams: the fast road between services. What was acknowledged never depends on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from mesh.errors import Unavailable
from mesh.metrics import REDIS_LOST

_CONNECT_TIMEOUT_S: Final = 2.0
_ANSWER_S: Final = 2.0
_SOCKET_TIMEOUT_S: Final = 10.0
_RETRY_AFTER_S: Final = 1.0
_TOO_SMALL: Final = "equal or smaller than the target stream top item"
START: Final = "0-0"
"""The cursor before the first entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry to append. Its id is given, not drawn, so that appending twice changes nothing.

    Attributes:
        key: The stream.
        entry_id: `<n>` or `<n>-<m>`, above 0-0; ids of a stream must rise.
        fields: The content.
        maxlen: The stream keeps about this many entries.
    """

    key: str
    entry_id: str
    fields: Mapping[bytes, bytes]
    maxlen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An entry that was read."""

    key: str
    entry_id: str
    fields: Mapping[bytes, bytes]


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[Redis]:
    """A client with binary answers. The protocol is pinned: shapes differ between 2 and 3."""
    client: Redis = Redis.from_url(
        url,
        protocol=3,
        decode_responses=False,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_SOCKET_TIMEOUT_S,
    )
    try:
        yield client
    finally:
        await client.aclose()


@contextmanager
def guard() -> Iterator[None]:
    """Raises `Unavailable` for whatever Redis cannot do now.

    The client sends with `asyncio.wait_for`, which in Python 3.11 swallows a cancellation that
    comes just as the sending ends; it is raised again here, or the task would never stop.
    """
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        yield
        if task and task.cancelling() > cancellations:
            raise asyncio.CancelledError
    except (RedisError, OSError, TimeoutError) as error:
        REDIS_LOST.inc()
        raise Unavailable(
            "the stream store does not answer: try again",
            retry_after_s=_RETRY_AFTER_S,
            reason="STREAM_UNAVAILABLE",
        ) from error


@asynccontextmanager
async def _answer(within_s: float = _ANSWER_S) -> AsyncIterator[None]:
    with guard():
        async with asyncio.timeout(within_s):
            yield


class Streams:
    """Appends to and reads from streams. Safe to share between tasks."""

    def __init__(self, redis: Redis, namespace: str = "") -> None:
        """Uses a client of `open_redis`; in it, and only there, keys begin with `namespace`.

        Installations that share one Redis need different ones, or they read each other's entries.
        """
        self._redis = redis
        self.namespace = namespace

    async def append(
        self, key: str, entry_id: str, fields: Mapping[bytes, bytes], maxlen: int
    ) -> bool:
        """Appends one entry; see `append_many`."""
        entry = Entry(key=key, entry_id=entry_id, fields=fields, maxlen=maxlen)
        return (await self.append_many([entry]))[0]

    async def append_many(self, entries: Sequence[Entry]) -> list[bool]:
        """Appends in order, in one round trip.

        Returns:
            For each entry whether it is new; False when the stream is already at or past its id.

        Raises:
            Unavailable: Some may have been appended; append all of them again.
        """
        async with _answer(), self._redis.pipeline(transaction=False) as pipeline:
            for entry in entries:
                pipeline.xadd(
                    self.namespace + entry.key,
                    dict(entry.fields),  # type: ignore[arg-type]
                    id=entry.entry_id,
                    maxlen=entry.maxlen,
                    approximate=True,
                )
            return [_is_new(answer) for answer in await pipeline.execute(raise_on_error=False)]

    async def last_id(self, key: str) -> str:
        """The id of the newest entry ever appended, trimmed or not; `0-0` when there was none."""
        async with _answer():
            if not await self._redis.exists(self.namespace + key):
                return START
            about = await self._redis.xinfo_stream(self.namespace + key)
        return _text(about["last-generated-id"])

    async def first_id(self, key: str) -> str:
        """The id of the oldest entry that is still there; `0-0` when there is none."""
        async with _answer():
            oldest = await self._redis.xrange(self.namespace + key, count=1)
        return _text(oldest[0][0]) if oldest else START

    async def read(self, cursors: Mapping[str, str], block_ms: int, count: int) -> list[Read]:
        """Entries after the cursor of each stream, in order per stream.

        Args:
            cursors: Stream to the id read last; `0-0` for all.
            block_ms: How long to wait when there is nothing, below 8 s; 0 does not wait.
            count: At most this many per stream.
        """
        async with _answer(_ANSWER_S + block_ms / 1000):
            answer: Any = await self._redis.xread(
                {self.namespace + key: cursor for key, cursor in cursors.items()},
                count=count,
                block=block_ms or None,
            )
        own = len(self.namespace)
        return [read for key, groups in _streams(answer) for read in _reads(key[own:], groups)]

    async def ping(self) -> None:
        """One round trip; a probe for `Health`."""
        async with _answer():
            await self._redis.ping()


def _is_new(answer: object) -> bool:
    if isinstance(answer, ResponseError) and _TOO_SMALL in str(answer):
        return False
    if isinstance(answer, Exception):
        raise answer
    return True


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def _streams(answer: Any) -> Iterator[tuple[str, list[Any]]]:
    """RESP3 answers a map of stream to groups of entries, and None when nothing came."""
    for key, groups in (answer or {}).items():
        yield _text(key), groups


def _reads(key: str, groups: list[Any]) -> Iterator[Read]:
    for group in groups:
        for entry_id, fields in group:
            yield Read(key=key, entry_id=_text(entry_id), fields=fields)
