"""Grouping rules, and what they say to the correlator."""

import uuid
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from mesh import audit
from mesh.errors import AlreadyExists, FailedPrecondition, NotFound
from mesh.postgres import guard
from mesh.selector import parse
from services.incidents.correlator.rules import Rule

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.incidents.store.transaction import Connection

RULES_MAX: Final = 100
_ALL: Final = "SELECT body FROM incidents.rule ORDER BY priority, name"
_ADD: Final = "INSERT INTO incidents.rule VALUES ($1, $2, $3, $4)"
_PUT: Final = """
UPDATE incidents.rule SET name = $2, priority = $3, body = $4 WHERE rule_id = $1
RETURNING rule_id
"""


class StoredRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as people write it; selectors are texts that parse."""

    rule_id: str = ""
    name: str
    selector: str = ""
    group_by: tuple[str, ...] = ()
    window_ms: int = 300_000
    never_with: str = ""
    priority: int = 0


def compiled(rule: StoredRule) -> Rule:
    """A rule for the correlator."""
    return Rule(
        name=rule.name,
        selector=parse(rule.selector),
        group_by=rule.group_by,
        window_ms=rule.window_ms,
        never_with=parse(rule.never_with) if rule.never_with else None,
    )


class RuleStore:
    """Questions about rules, and their changes within a transaction."""

    def __init__(self, pool: "Pool") -> None:
        """Borrows connections of `pool`."""
        self._pool = pool
        self._stored: list[StoredRule] = []
        self._compiled: list[Rule] = []

    async def all(self) -> list[StoredRule]:
        """In the order in which they are asked."""
        with guard("list_rules"):
            rows = await self._pool.fetch(_ALL)
        return [msgspec.json.decode(row["body"], type=StoredRule) for row in rows]

    async def compiled(self) -> list[Rule]:
        """The same for the correlator; compiled anew only when they changed."""
        stored = await self.all()
        if stored != self._stored:
            self._stored, self._compiled = stored, [compiled(each) for each in stored]
        return self._compiled


async def add(connection: "Connection", rule: StoredRule, actor: str) -> StoredRule:
    """Stores a new rule.

    Raises:
        AlreadyExists: RULE_EXISTS.
        FailedPrecondition: TOO_MANY_RULES.
    """
    if await connection.fetchval("SELECT count(*) FROM incidents.rule") >= RULES_MAX:
        message = f"there are {RULES_MAX} rules already: delete one first"
        raise FailedPrecondition(message, reason="TOO_MANY_RULES")
    made = msgspec.structs.replace(rule, rule_id=uuid.uuid4().hex)
    try:
        await connection.execute(_ADD, *_row(made))
    except asyncpg.UniqueViolationError as error:
        raise _taken(rule) from error
    await _audit(connection, "grouping_rule.create", made, actor)
    return made


async def put(connection: "Connection", rule: StoredRule, actor: str) -> StoredRule:
    """Replaces a rule.

    Raises:
        NotFound: RULE_NOT_FOUND.
        AlreadyExists: RULE_EXISTS.
    """
    try:
        found = await connection.fetchval(_PUT, *_row(rule))
    except asyncpg.UniqueViolationError as error:
        raise _taken(rule) from error
    if found is None:
        raise NotFound("rule", rule.rule_id)
    await _audit(connection, "grouping_rule.update", rule, actor)
    return rule


async def delete(connection: "Connection", rule_id: str, actor: str) -> None:
    """Removes a rule.

    Raises:
        NotFound: RULE_NOT_FOUND.
    """
    query = "DELETE FROM incidents.rule WHERE rule_id = $1 RETURNING body"
    body = await connection.fetchval(query, rule_id)
    if body is None:
        raise NotFound("rule", rule_id)
    gone = msgspec.json.decode(body, type=StoredRule)
    await _audit(connection, "grouping_rule.delete", gone, actor)


async def _audit(connection: "Connection", action: str, rule: StoredRule, actor: str) -> None:
    detail = audit.changes(None, msgspec.to_builtins(rule))
    await audit.append(
        connection, "incidents", action=action, subject=rule.rule_id, detail=detail, actor=actor
    )


def _row(rule: StoredRule) -> tuple[object, ...]:
    return rule.rule_id, rule.name, rule.priority, msgspec.json.encode(rule)


def _taken(rule: StoredRule) -> AlreadyExists:
    message = f"a rule named {rule.name!r} exists: choose another name or update that one"
    return AlreadyExists(message, reason="RULE_EXISTS", metadata={"name": rule.name})
