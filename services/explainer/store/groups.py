"""Storms: like explanations that begin close to each other, and which of them is worded."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from mesh.errors import Unavailable
from mesh.postgres import guard
from services.explainer.batching import Batcher
from services.explainer.model.explanation import Group

if TYPE_CHECKING:
    from mesh.postgres import Pool

_LONGEST_S = 3600
_STRUCK_S = 60
"""What was struck cost tokens, and a like text would be struck alike: the turn rests that long."""

# One statement: in a storm all of a group wait for each other's turn at its row. The explanations
# are locked by their ids, so that nobody waits in a circle.
_JOIN = """
WITH new AS MATERIALIZED (
    SELECT explanation_id, subject_kind, subject_id FROM explainer.explanation
    WHERE explanation_id = ANY($2::uuid[]) AND group_id IS NULL
    ORDER BY explanation_id FOR NO KEY UPDATE
), joined AS (
    INSERT INTO explainer.like_group AS g (key, group_id, begin_time, last_time, size)
    SELECT $1, (array_agg(explanation_id ORDER BY array_position($2, explanation_id)))[1],
        now(), now(), count(DISTINCT (subject_kind, subject_id))
    FROM new HAVING count(*) > 0
    ON CONFLICT (key) DO UPDATE SET (group_id, begin_time, last_time, worded_by, size) = (
        SELECT CASE WHEN goes_on THEN g.group_id ELSE excluded.group_id END,
            CASE WHEN goes_on THEN g.begin_time ELSE now() END,
            now(),
            CASE WHEN goes_on THEN g.worded_by END,
            CASE WHEN goes_on THEN g.size + (
                SELECT count(DISTINCT (subject_kind, subject_id)) FROM new
                WHERE NOT EXISTS (
                    SELECT FROM explainer.explanation other WHERE other.group_id = g.group_id
                        AND (other.subject_kind, other.subject_id)
                            = (new.subject_kind, new.subject_id))
            ) ELSE excluded.size END
        FROM (SELECT g.last_time > now() - $3 * interval '1 s'
            AND g.begin_time > now() - $4 * interval '1 s' AS goes_on) AS whether)
    RETURNING group_id, size
), marked AS (
    UPDATE explainer.explanation e SET group_id = joined.group_id FROM joined, new
    WHERE e.explanation_id = new.explanation_id
)
SELECT explanation_id, group_id, size FROM new, joined
UNION ALL
SELECT explanation_id, group_id, (
    SELECT count(DISTINCT (subject_kind, subject_id)) FROM explainer.explanation e
    WHERE e.group_id = known.group_id)
FROM explainer.explanation known WHERE explanation_id = ANY($2) AND group_id IS NOT NULL
"""
_TURN_HOLDER = """
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
_OUTCOME = """
SELECT CASE
    WHEN e.state = 'running' AND e.lease_until > now() AND o.used IS NOT TRUE THEN 'asking'
    WHEN e.state IN ('running', 'done') AND o.used THEN 'worded'
    WHEN e.state = 'done' AND o.provider <> '' THEN 'struck'
    ELSE 'unworded' END
FROM explainer.explanation e LEFT JOIN explainer.outcome o USING (explanation_id)
WHERE e.explanation_id = $1
"""


class TurnOutcome(StrEnum):
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
        self._joining = Batcher(self._join)

    async def join(self, explanation_id: UUID, key: str) -> Group:
        """The group of an explanation: that of `key` while it goes on, else a new one.

        An explanation that is in a group stays there. Its size is that of the subjects in it: one
        that is explained twice counts once.
        """
        return await self._joining.do((key, explanation_id))

    async def _join(self, joining: Sequence[tuple[str, UUID]]) -> list[Group | Exception]:
        ids_by_key: dict[str, list[UUID]] = {}
        for key, explanation_id in joining:
            ids_by_key.setdefault(key, []).append(explanation_id)
        found: dict[UUID, Group] = {}
        with guard("join_group"):
            for key, ids in ids_by_key.items():
                rows = await self._pool.fetch(_JOIN, key, ids, self._window_s, _LONGEST_S)
                found |= {
                    row["explanation_id"]: Group(group_id=row["group_id"], size=row["size"])
                    for row in rows
                }
        gone = Unavailable("the explanation went away at this moment")
        return [found.get(explanation_id, gone) for _, explanation_id in joining]

    async def take_turn(self, explanation_id: UUID, key: str, group_id: UUID) -> UUID:
        """The explanation of the group that is worded: this one, if it has the turn or gets it.

        The turn stays with an explanation that is being made, under the lease of its run, and with
        one whose text was used. It is free once its holder was cancelled, failed, got no text or
        died.
        """
        holder = await self._holder(explanation_id, key, group_id, take=True)
        return holder or explanation_id

    async def turn_holder(self, explanation_id: UUID, key: str, group_id: UUID) -> UUID | None:
        """The same, but None where `take_turn` would take the turn for this one."""
        return await self._holder(explanation_id, key, group_id, take=False)

    async def turn_outcome(self, explanation_id: UUID) -> TurnOutcome:
        """What came of the turn of an explanation, as far as it is known now."""
        with guard("read_turn_outcome"):
            return TurnOutcome(
                await self._pool.fetchval(_OUTCOME, explanation_id) or TurnOutcome.UNWORDED
            )

    async def _holder(
        self, explanation_id: UUID, key: str, group_id: UUID, *, take: bool
    ) -> UUID | None:
        with guard("word_group"):
            async with self._pool.acquire() as connection, connection.transaction():
                group = await connection.fetchrow(_TURN_HOLDER, key, group_id)
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
