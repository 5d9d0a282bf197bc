"""Sliding windows in Redis, shared by all gateways."""

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.streams import guard

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
  return {used, tonumber(score) + window_us - now_us}
end
redis.call('ZADD', KEYS[1], now_us, ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 1000)
return {used + 1, 0}
"""

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


class RateLimiter:
    """Counts exactly: each request stays in its caller's window for a minute.

    Fails open: when Redis does not answer everything is allowed, and it is not asked again for two
    seconds, so that requests do not wait for it one by one.
    """

    def __init__(self, redis: "Redis", clock: Clock, installation: str) -> None:
        """Uses a client of `open_redis`, which other installations may share."""
        self._redis = redis
        self._prefix = f"sensus:{installation}:rate:"
        self._clock = clock
        self._ask_again_at_s = 0.0

    async def take(self, key: str, limit: int) -> Window | None:
        """Counts one request of `key`; None when nobody can count."""
        if self._clock.monotonic_s() < self._ask_again_at_s:
            return None
        try:
            with guard():
                async with asyncio.timeout(_TIMEOUT_S):
                    used, wait_us = await self._slide(key, limit)
        except Unavailable as error:
            self._ask_again_at_s = self._clock.monotonic_s() + _PAUSE_S
            logger.warning("no rate limits: Redis is away", extra={"cause": repr(error.__cause__)})
            return None
        return Window(limit=limit, remaining=max(0, limit - used), wait_s=wait_us / 1e6)

    async def _slide(self, key: str, limit: int) -> tuple[int, int]:
        member = secrets.token_bytes(8)
        answer = await self._redis.eval(_SLIDE, 1, self._prefix + key, WINDOW_S, limit, member)
        return int(answer[0]), int(answer[1])
