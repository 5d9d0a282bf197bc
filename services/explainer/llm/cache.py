"""Answers of language models for an hour, and one call at a time per question over all replicas.

Kept in Redis and never needed: while Redis is away, every question is asked.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from mesh.errors import Unavailable
from mesh.redis import guard
from services.explainer.llm.provider import Endpoint, NotAskedError, ProviderError, Usage

if TYPE_CHECKING:
    from redis.asyncio import Redis

KEEP_S: Final = 3600
KEEP_FAILURE_S: Final = 5
"""Long enough for those who wait for the same answer, short enough for a second try."""

_PREFIX: Final = "sensus:explainer:form:"
_LOOK_EVERY_S: Final = 0.1
_ANSWER_S: Final = 1.0
_TURN_S: Final = 3.0
"""A replica that died holds the others up no longer than that."""

_RENEW_EVERY_S: Final = 1.0
_RENEW: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end
return 0
"""
_GIVE_BACK: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
"""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The form that a model filled, not verified, and what it took.

    Attributes:
        form: Encoded: ids and words of closed lists, nothing that the model wrote.
        unreadable: Claims of the answer that were no claims.
        failed: Why there is no form; "" when there is one.
    """

    form: msgspec.Raw = msgspec.Raw(b"{}")
    unreadable: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    failed: str = ""

    @property
    def usage(self) -> Usage:
        """Tokens of the call."""
        return Usage(input_tokens=self.input_tokens, output_tokens=self.output_tokens)


Ask = Callable[[], Awaitable[Answer]]

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Answer).decode


_asks_anew: ContextVar[bool] = ContextVar("_asks_anew", default=False)


@contextmanager
def asking_anew() -> Iterator[None]:
    """Inside, every question is asked, and its answer is not kept."""
    token = _asks_anew.set(True)
    try:
        yield
    finally:
        _asks_anew.reset(token)


class Answers(Protocol):
    """Where answers may be had without asking."""

    async def once(self, key: str, ask: Ask, *, within_s: float) -> tuple[Answer, bool]:
        """The answer to a question, asked now unless it is known or being asked.

        Args:
            key: Names the question.
            ask: Asks it, and keeps to `within_s` by itself.
            within_s: Longest time for all, waiting for those who ask the same included.

        Returns:
            The answer, and whether it was there without asking.

        Raises:
            ProviderError: The model, asked here or elsewhere, gave none.
        """
        ...


class NoAnswers:
    """Keeps nothing."""

    async def once(self, key: str, ask: Ask, *, within_s: float) -> tuple[Answer, bool]:
        """See `Answers.once`."""
        return await ask(), False


class AnswerCache:
    """Keeps answers in Redis."""

    def __init__(self, redis: "Redis") -> None:
        """Uses a client of `open_redis`."""
        self._redis = redis

    async def once(self, key: str, ask: Ask, *, within_s: float) -> tuple[Answer, bool]:
        """See `Answers.once`."""
        if _asks_anew.get():
            return await ask(), False
        mine = uuid.uuid4().hex.encode()
        timely = _within(ask, within_s)
        try:
            async with asyncio.timeout(within_s):
                known = await self._known_or_turn(key, mine)
        except Unavailable:
            return await timely(), False
        except TimeoutError:
            raise ProviderError("timeout") from None
        if known is None:
            return await self._asked(key, mine, timely), False
        if known.failed:
            raise ProviderError(known.failed)
        return known, True

    async def _known_or_turn(self, key: str, mine: bytes) -> Answer | None:
        """The answer, or None once it is for us to ask."""
        while True:
            with guard():
                async with asyncio.timeout(_ANSWER_S):
                    found = await self._known(key)
                    if found is None and await self._took_turn(key, mine):
                        # whoever had the turn may have answered since we looked
                        found = await self._known(key)
                        if found is None:
                            return None
                        await self._give_back(key, mine)
            if found is not None:
                return found
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _known(self, key: str) -> Answer | None:
        return _read(await self._redis.get(_PREFIX + key))

    async def _took_turn(self, key: str, mine: bytes) -> bool:
        return bool(await self._redis.set(_turn_of(key), mine, nx=True, px=round(1000 * _TURN_S)))

    async def _asked(self, key: str, mine: bytes, ask: Ask) -> Answer:
        async with self._holding(key, mine):
            try:
                answer = await ask()
            except NotAskedError:  # says nothing to the others, who may ask
                raise
            except ProviderError as error:
                await self._keep(key, Answer(failed=error.reason), KEEP_FAILURE_S)
                raise
            await self._keep(key, answer, KEEP_S)
            return answer

    @asynccontextmanager
    async def _holding(self, key: str, mine: bytes) -> AsyncIterator[None]:
        """Keeps the turn for as long as the block lasts, and gives it back."""
        renewing = asyncio.create_task(self._renew_for_ever(key, mine))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._give_back(key, mine)

    async def _give_back(self, key: str, mine: bytes) -> None:
        await _tried(self._redis.eval(_GIVE_BACK, 1, _turn_of(key), mine))

    async def _renew_for_ever(self, key: str, mine: bytes) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            values = (mine, str(round(1000 * _TURN_S)))
            await _tried(self._redis.eval(_RENEW, 1, _turn_of(key), *values))

    async def _keep(self, key: str, answer: Answer, keep_s: int) -> None:
        try:
            encoded = _encode(answer)
        except (ValueError, OverflowError):  # asked again then
            return
        await _tried(self._redis.set(_PREFIX + key, encoded, ex=keep_s))


def key_of(endpoint: Endpoint, prompt_id: str, *prompt: str) -> str:
    """Names a question: the model, the version of the prompt, and all that the prompt says."""
    parts = (endpoint.base_url, endpoint.model, prompt_id, *prompt)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _turn_of(key: str) -> str:
    return f"{_PREFIX}{key}:turn"


def _within(ask: Ask, within_s: float) -> Ask:
    """The same question; asked late, it gets what is left of `within_s` from now on."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    async def timely() -> Answer:
        spent_s = loop.time() - began_s
        if spent_s < _LOOK_EVERY_S:
            return await ask()
        try:
            async with asyncio.timeout(within_s - spent_s):
                return await ask()
        except TimeoutError:  # of what was left: others may have more
            raise NotAskedError("timeout") from None

    return timely


def _read(raw: bytes | str | None) -> Answer | None:
    if raw is None:
        return None
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeError):
        return None


async def _tried(doing: Awaitable[object]) -> None:
    """Does it if Redis can; what cannot be kept is asked again."""
    try:
        with guard():
            async with asyncio.timeout(_ANSWER_S):
                await doing
    except Unavailable:
        return
