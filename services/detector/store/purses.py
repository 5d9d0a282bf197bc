"""The purses of warnings, spent in the transaction that announces."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from services.detector.model import budget
from services.detector.model.anomalies import Finding
from services.detector.model.budget import Allowance, Budget, Purse
from services.detector.model.groups import NO_LABEL, SharedLabel

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

_GET: Final = """
SELECT shared_name, shared_value, coins, loudest, at_ms FROM detector.warning_purse
JOIN unnest($1::text[], $2::text[]) AS wanted (name, value)
    ON shared_name = wanted.name AND shared_value = wanted.value
"""
_PUT: Final = """
INSERT INTO detector.warning_purse (shared_name, shared_value, coins, loudest, at_ms)
SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::bigint[])
ON CONFLICT (shared_name, shared_value) DO UPDATE
SET coins = excluded.coins, loudest = excluded.loudest, at_ms = excluded.at_ms
"""
_NOW: Final = "SELECT (extract(epoch FROM now()) * 1000)::bigint"
# A purse that is full again is as good as none.
_DROP_FULL: Final = "DELETE FROM detector.warning_purse WHERE at_ms < $1 AND shared_name <> ''"


class Purses:
    """The purses that findings may cost, as they are within one transaction."""

    def __init__(self, budget: Budget, purses: dict[SharedLabel, Purse], now_ms: int) -> None:
        """Takes all that `announced` will be asked for."""
        self._budget = budget
        self._purses = purses
        self._now_ms = now_ms
        self._spent: set[SharedLabel] = set()

    def announced(self, lead: Finding) -> Finding:
        """The lead as it is announced; one for which no coin is left as an info."""
        if not budget.is_counted(lead, self._now_ms):
            return lead
        labels = self._budget.gains(lead).keys()
        allowed = all(budget.allows(self._purses[each], lead) for each in labels)
        for each in labels:
            self._purses[each] = budget.announced(self._purses[each], lead, is_paid=allowed)
        self._spent |= labels
        return lead if allowed else budget.held_back(lead)

    async def store(self, connection: "Connection") -> None:
        """Writes those that were asked."""
        if not self._spent:
            return
        spent = [(label, self._purses[label]) for label in sorted(self._spent)]
        rows = [(*label, purse.coins, purse.loudest, purse.at_ms) for label, purse in spent]
        await connection.execute(_PUT, *(list(column) for column in zip(*rows, strict=True)))
        weeks = max(1.0, 1.0 / self._budget.slowest)
        await connection.execute(_DROP_FULL, self._now_ms - round(weeks * budget.WEEK_MS))


async def open_purses(
    connection: "Connection", findings: Sequence[Finding], terms: Budget
) -> Purses:
    """The purses of these findings, filled up to now."""
    now_ms: int = await connection.fetchval(_NOW)
    gains = dict[SharedLabel, float]()
    for found in findings:
        if budget.is_counted(found, now_ms):
            gains |= terms.gains(found)
    return Purses(terms, await _purses(connection, gains, now_ms), now_ms)


async def allowed(connection: "Connection", terms: Budget) -> list[Allowance]:
    """What is left of each budget now, that of the whole installation first."""
    gains = {NO_LABEL: terms.per_week} if terms.per_week else {}
    gains |= {(budget.GROUP, each.text): each.per_week for each in terms.groups}
    purses = await _purses(connection, gains, await connection.fetchval(_NOW))
    return [
        Allowance(selector=label[1], per_week=gain, left=purses[label].coins)
        for label, gain in gains.items()
    ]


async def _purses(
    connection: "Connection", gains: Mapping[SharedLabel, float], now_ms: int
) -> dict[SharedLabel, Purse]:
    if not gains:
        return {}
    stored = await connection.fetch(_GET, [n for n, _ in gains], [v for _, v in gains])
    found = {
        (row["shared_name"], row["shared_value"]): Purse(
            coins=row["coins"], loudest=row["loudest"], at_ms=row["at_ms"]
        )
        for row in stored
    }
    return {
        each: budget.filled(found.get(each) or budget.fresh(gain, now_ms), gain, now_ms)
        for each, gain in gains.items()
    }
