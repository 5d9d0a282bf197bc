"""Storms: like explanations that begin close to each other, and which of them is worded."""

from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from mesh.postgres import guard
from services.explainer.model.explanation import Group

if TYPE_CHECKING:
    from mesh.postgres import Pool

_LONGEST_S = 3600
_STRUCK_S = 60
"""What was struck cost tokens, and a like text would be struck alike: the turn rests that long."""

_KNOWN = "SELECT group_id FROM explainer.explanation WHERE explanation_id = $1"
_JOIN = """
WITH bound AS (SELECT now() - $3 * interval '1 s' AS last, now() - $4 * interval '1 s' AS begun)
INSERT INTO explainer.like_group AS g (key, group_id, begin_time, last_time)
VALUES ($1, $2, now(), now())
ON CONFLICT (key) DO UPDATE SET last_time = now(),
    group_id = CASE WHEN g.last_time > (SELECT last FROM bound)
        AND g.begin_time > (SELECT begun FROM bound) THEN g.group_id ELSE excluded.group_id END,
    begin_time = CASE WHEN g.last_time > (SELECT last FROM bound)
        AND g.begin_time > (SELECT begun FROM bound) THEN g.begin_time ELSE now() END,
    worded_by = CASE WHEN g.last_time > (SELECT last FROM bound)
        AND g.begin_time > (SELECT begun FROM bound) THEN g.worded_by END
RETURNING group_id
"""
_SIZE = "SELECT count(*) FROM explainer.explanation WHERE group_id = $1"
_MARK = "UPDATE explainer.explanation SET group_id = $2 WHERE explanation_id = $1"
_HOLDER = """
SELECT worded_by FROM explainer.like_group WHERE key = $1 AND group_id = $2 FOR UPDATE
"""
_TURN = "UPDATE explainer.like_group SET worded_by = $3 WHERE key = $1 AND group_id = $2"
_HOLDS = """
SELECT e.state = 'running' AND e.lease_until > now()
    OR e.state = 'done' AND o.explanation_id IS NOT NULL AND (
        o.used OR o.provider <> '' AND o.create_time > now() - $2 * interval '1 s')
FROM explainer.explanation e LEFT JOIN explainer.outcome o USING (explanation_id)
WHERE e.explanation_id = $1
"""
_FATE = """
SELECT CASE
    WHEN e.state = 'running' AND e.lease_until > now() AND o.used IS NOT TRUE THEN 'asking'
    WHEN e.state IN ('running', 'done') AND o.used THEN 'worded'
    WHEN e.state = 'done' AND o.provider <> '' THEN 'struck'
    ELSE 'unworded' END
FROM explainer.explanation e LEFT JOIN explainer.outcome o USING (explanation_id)
WHERE e.explanation_id = $1
"""


class Fate(StrEnum):
    """What came of the turn to be worded."""

    ASKING = "asking"
    WORDED = "worded"
    STRUCK = "struck"
    UNWORDED = "unworded"


class Groups:
    """Keeps like explanations together, over all replicas."""

    def __init__(self, pool: "Pool", *, window_s: float) -> None:
        """A group goes on while the next one comes within `window_s`, an hour at most."""
        self._pool = pool
        self._window_s = window_s

    async def join(self, explanation_id: UUID, key: str) -> Group:
        """The group of an explanation: that of `key` while it goes on, else a new one.

        An explanation that is in a group stays there.
        """
        with guard("join_group"):
            async with self._pool.acquire() as connection, connection.transaction():
                found: UUID | None = await connection.fetchval(_KNOWN, explanation_id)
                if found is None:
                    values = (key, explanation_id, self._window_s, _LONGEST_S)
                    found = await connection.fetchval(_JOIN, *values)
                    await connection.execute(_MARK, explanation_id, found)
                size = await connection.fetchval(_SIZE, found)
        return Group(group_id=found or explanation_id, size=size)

    async def words(self, explanation_id: UUID, key: str, group_id: UUID) -> UUID:
        """The explanation of the group that is worded: this one, if it has the turn or gets it.

        The turn stays with an explanation that is being made, under the lease of its run, and with
        one whose text was used. It is free once its holder was cancelled, failed, got no text or
        died.
        """
        holder = await self._holder(explanation_id, key, group_id, take=True)
        return holder or explanation_id

    async def holder(self, explanation_id: UUID, key: str, group_id: UUID) -> UUID | None:
        """The same, but None where `words` would take the turn for this one."""
        return await self._holder(explanation_id, key, group_id, take=False)

    async def fate(self, explanation_id: UUID) -> Fate:
        """What came of the turn of an explanation, as far as it is known now."""
        with guard("read_fate"):
            return Fate(await self._pool.fetchval(_FATE, explanation_id) or Fate.UNWORDED)

    async def _holder(
        self, explanation_id: UUID, key: str, group_id: UUID, *, take: bool
    ) -> UUID | None:
        with guard("word_group"):
            async with self._pool.acquire() as connection, connection.transaction():
                group = await connection.fetchrow(_HOLDER, key, group_id)
                if group is None:  # another one has begun since
                    return group_id
                holder: UUID | None = group["worded_by"]
                if holder not in (None, explanation_id) and await connection.fetchval(
                    _HOLDS, holder, _STRUCK_S
                ):
                    return holder
                if take:
                    await connection.execute(_TURN, key, group_id, explanation_id)
        return None
