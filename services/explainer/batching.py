"""What waits at the same moment, done as one."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mesh.errors import SensusError

Item = TypeVar("Item")
Result = TypeVar("Result")
Outcomes = Sequence[Result | Exception]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    answer: "asyncio.Future[Result]"
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


class Batcher(Generic[Item, Result]):
    """Works on one part at a time: what comes meanwhile goes together in the next.

    So nobody waits for company, and the busier it is, the more is done at once.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Coroutine[Any, Any, Outcomes[Result]]],
        *,
        most: int = 64,
    ) -> None:
        """`work` gets up to `most` items and gives the outcome of each, in their order."""
        self._work = work
        self._most = most
        self._waiting: list[_Waiting[Item, Result]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._task is None

    async def do(self, item: Item) -> Result:
        """The result of one item. Raises what became of it instead, or of the whole part."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item=item, answer=answer))
        if self._task is None:
            self._begin()
        return await answer

    def _begin(self) -> None:
        """Works on what waits, under the deadline of the one who came last."""
        context = self._waiting[-1].context
        self._task = asyncio.get_running_loop().create_task(self._next(), context=context)

    async def _next(self) -> None:
        await asyncio.sleep(0)  # for those that come at the same moment
        part, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            await self._answer([each for each in part if not each.answer.done()])
        except BaseException:
            for each in (*part, *self._waiting):
                each.answer.cancel()
            self._waiting.clear()
            raise
        finally:
            self._task = None
            if self._waiting:
                self._begin()

    async def _answer(self, part: "Sequence[_Waiting[Item, Result]]") -> None:
        """What fails in an unforeseen way is tried one by one: it takes nothing from the others."""
        try:
            outcomes = await self._work([each.item for each in part]) if part else ()
        except SensusError as error:
            outcomes = [error] * len(part)
        except Exception as error:
            if len(part) > 1:
                for each in part:
                    await self._answer([each])
                return
            outcomes = [error]
        for each, outcome in zip(part, outcomes, strict=True):
            if each.answer.done():
                continue
            if isinstance(outcome, Exception):
                each.answer.set_exception(outcome)
            else:
                each.answer.set_result(outcome)
