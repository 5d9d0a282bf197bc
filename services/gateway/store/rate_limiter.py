"""Sliding windows in Redis, shared by all gateways."""

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from cachetools import LRUCache
from redis.asyncio import Redis

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.redis import guard

WINDOW_S: Final = 60

_TIMEOUT_S: Final = 0.25
_PAUSE_S: Final = 2.0
_SLIDE: Final = """
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local window_us = tonumber(ARGV[1]) * 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_us - window_us)
local used = redis.call('ZCARD', KEYS[1])
if used >= tonumber(ARGV[2]) then
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  local score = oldest[2] or oldest[1][2]
  return {used, tonumber(score) + window_us - now_us, 0}
end
local taken = math.min(tonumber(ARGV[4]), ARGV[2] - used)
for n = 1, taken do
  redis.call('ZADD', KEYS[1], now_us, ARGV[3] .. n)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 1000)
return {used + taken, 0, taken}
"""
_AHEAD_MOST: Final = 64
_AHEAD_SHARE: Final = 16
_AHEAD_S: Final = 0.2
_CALLERS: Final = 16_384

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a caller stands.

    Attributes:
        limit: Requests per window.
        remaining: How many more fit now.
        wait_s: 0 when this request is allowed, else when the next one will be.
    """

    limit: int
    remaining: int
    wait_s: float


@dataclass(slots=True)
class _Prepaid:
    """Requests of a caller that are counted in Redis already and have not come yet."""

    left: int
    remaining: int
    taken: int
    until_s: float


class RateLimiter:
    """Counts each request in its caller's window for a minute.

    A caller that sends many at once has some counted ahead, twice as many each time they are used
    up within a fifth of a second, so that Redis is not asked for each; never more than 64 and than
    a sixteenth of what remains, so a window near its limit is exact. One request of a caller asks
    at a time: what several had counted ahead would be lost but for the last.

    Fails open: when Redis does not answer everything is allowed, and it is not asked again for two
    seconds, so that requests do not wait for it one by one.
    """

    def __init__(self, redis: "Redis", clock: Clock, installation: str) -> None:
        """Uses a client of `open_redis`, which other installations may share."""
        self._redis = redis
        self._prefix = f"sensus:{installation}:rate:"
        self._clock = clock
        self._ask_again_at_s = 0.0
        self._ahead: LRUCache[str, _Prepaid] = LRUCache(_CALLERS)
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, key: str, limit: int) -> Window | None:
        """Counts one request of `key`; None when nobody can count."""
        if window := self._counted_ahead(key, limit):
            return window
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.Lock()
        async with asking:
            return self._counted_ahead(key, limit) or await self._ask(key, limit)

    def _counted_ahead(self, key: str, limit: int) -> Window | None:
        ahead = self._ahead.get(key)
        if ahead is None or not ahead.left or self._clock.monotonic_s() >= ahead.until_s:
            return None
        ahead.left -= 1
        return Window(limit=limit, remaining=ahead.remaining + ahead.left, wait_s=0.0)

    async def _ask(self, key: str, limit: int) -> Window | None:
        now_s = self._clock.monotonic_s()
        if now_s < self._ask_again_at_s:
            return None
        ahead = self._ahead.get(key)
        try:
            with guard():
                async with asyncio.timeout(_TIMEOUT_S):
                    used, wait_us, taken = await self._slide(key, limit, _wanted(ahead, now_s))
        except Unavailable as error:
            self._ask_again_at_s = self._clock.monotonic_s() + _PAUSE_S
            logger.warning("no rate limits: Redis is away", extra={"cause": repr(error.__cause__)})
            return None
        remaining = max(0, limit - used)
        if taken:
            self._ahead[key] = _Prepaid(taken - 1, remaining, taken, now_s + _AHEAD_S)
        return Window(limit=limit, remaining=remaining + max(0, taken - 1), wait_s=wait_us / 1e6)

    async def _slide(self, key: str, limit: int, wanted: int) -> tuple[int, int, int]:
        member = secrets.token_bytes(8)
        answer = await self._redis.eval(
            _SLIDE, 1, self._prefix + key, WINDOW_S, limit, member, wanted
        )
        return int(answer[0]), int(answer[1]), int(answer[2])


def _wanted(ahead: _Prepaid | None, now_s: float) -> int:
    if ahead is None or now_s >= ahead.until_s:
        return 1
    return max(1, min(2 * ahead.taken, _AHEAD_MOST, ahead.remaining // _AHEAD_SHARE))
