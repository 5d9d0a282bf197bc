"""Threshold rules."""

import uuid
from typing import TYPE_CHECKING, Final

import asyncpg

from mesh import audit
from mesh.errors import AlreadyExists, FailedPrecondition
from mesh.postgres import guard
from services.detector.model.rules import RULES_MAX, Rule

if TYPE_CHECKING:
    from mesh.postgres import Pool

_AUDITED: Final = (
    "name",
    "selector",
    "comparison",
    "warning",
    "critical",
    "hysteresis",
    "hold_ms",
    "series_kind",
    "enabled",
)
_LOCK: Final = 0x52554C45
_ADD: Final = """
INSERT INTO detector.rule (rule_id, name, selector, comparison, warning, critical, hysteresis,
    hold_ms, series_kind, enabled)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *
"""
_PUT: Final = """
UPDATE detector.rule SET name = $2, selector = $3, comparison = $4, warning = $5, critical = $6,
    hysteresis = $7, hold_ms = $8, series_kind = $9, enabled = $10, updated_at = now()
WHERE rule_id = $1 RETURNING *
"""
_LOCK_ROW: Final = "SELECT * FROM detector.rule WHERE rule_id = $1 FOR UPDATE"
_DELETE: Final = "DELETE FROM detector.rule WHERE rule_id = $1 RETURNING *"


class RuleStore:
    """Questions about rules."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`; closes nothing."""
        self._pool = pool

    async def all(self) -> list[Rule]:
        """Every rule, by name."""
        with guard("list_rules"):
            rows = await self._pool.fetch("SELECT * FROM detector.rule ORDER BY name, rule_id")
        return [_rule(row) for row in rows]

    async def find(self, rule_id: str) -> Rule | None:
        """The rule of that id, if there is one."""
        if "\x00" in rule_id:
            return None
        with guard("get_rule"):
            query = "SELECT * FROM detector.rule WHERE rule_id = $1"
            row = await self._pool.fetchrow(query, rule_id)
        return None if row is None else _rule(row)

    async def add(self, rule: Rule) -> Rule:
        """Stores a new rule under an id of its own.

        Raises:
            AlreadyExists: RULE_EXISTS, the name is taken.
            FailedPrecondition: TOO_MANY_RULES.
        """
        with guard("add_rule"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                if await connection.fetchval("SELECT count(*) FROM detector.rule") >= RULES_MAX:
                    message = f"there are {RULES_MAX} rules already: delete one first"
                    raise FailedPrecondition(message, reason="TOO_MANY_RULES")
                try:
                    row = await connection.fetchrow(_ADD, uuid.uuid4().hex, *_columns(rule))
                except asyncpg.UniqueViolationError as error:
                    raise _taken(rule) from error
                added = _rule(row)
                await _audit(connection, "rule.create", None, added)
        return added

    async def put(self, rule: Rule) -> Rule | None:
        """Replaces the rule of the same id; None when it is gone.

        Raises:
            AlreadyExists: RULE_EXISTS, the name is taken.
        """
        with guard("put_rule"):
            async with self._pool.acquire() as connection, connection.transaction():
                before = await connection.fetchrow(_LOCK_ROW, rule.rule_id)
                try:
                    row = await connection.fetchrow(_PUT, rule.rule_id, *_columns(rule))
                except asyncpg.UniqueViolationError as error:
                    raise _taken(rule) from error
                if row is None:
                    return None
                put = _rule(row)
                await _audit(connection, "rule.update", _rule(before), put)
        return put

    async def delete(self, rule_id: str) -> bool:
        """Removes a rule; whether there was one. Shards end its episodes when they learn of it."""
        if "\x00" in rule_id:
            return False
        with guard("delete_rule"):
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_DELETE, rule_id)
                if row is not None:
                    await _audit(connection, "rule.delete", _rule(row), None)
        return row is not None


async def _audit(
    connection: "audit.Connection", action: str, before: Rule | None, after: Rule | None
) -> None:
    rule = after or before
    assert rule is not None  # noqa: S101
    detail = audit.changes(_audited(before), _audited(after))
    await audit.append(connection, "detector", action=action, subject=rule.rule_id, detail=detail)


def _audited(rule: Rule | None) -> dict[str, object] | None:
    return None if rule is None else dict(zip(_AUDITED, _columns(rule), strict=True))


def _columns(rule: Rule) -> tuple[object, ...]:
    return (
        rule.name,
        rule.selector,
        rule.comparison,
        rule.warning,
        rule.critical,
        rule.hysteresis,
        rule.hold_ms,
        rule.series_kind,
        rule.enabled,
    )


def _rule(row: asyncpg.Record | None) -> Rule:
    return Rule(**dict(row or {}))


def _taken(rule: Rule) -> AlreadyExists:
    message = f"a rule named {rule.name!r} exists: choose another name or update that one"
    return AlreadyExists(message, reason="RULE_EXISTS", metadata={"name": rule.name})
