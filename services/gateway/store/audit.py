"""The gateway's audit log, which holds the entries of all other logs too."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mesh import audit
from mesh.audit import GENESIS, AuditEntry, AuditLog, Head
from mesh.errors import InvalidInput
from mesh.postgres import guard

if TYPE_CHECKING:
    from mesh.audit import Connection, Detail
    from mesh.postgres import Pool

_SCHEMA: Final = "gateway"
_ADD_CHAIN: Final = """
    INSERT INTO gateway.audit_chain VALUES ($1, 0, $2) ON CONFLICT DO NOTHING"""
_CHAIN: Final = """
    SELECT entry_id, row_hash FROM gateway.audit_chain WHERE service = $1 FOR UPDATE"""
_ADVANCE: Final = """
    UPDATE gateway.audit_chain SET entry_id = $2, row_hash = $3 WHERE service = $1"""
_FAULT: Final = """
    INSERT INTO gateway.audit_fault (message) VALUES ($1) ON CONFLICT DO NOTHING"""
_FAULTS: Final = "SELECT message FROM gateway.audit_fault ORDER BY found_at, message"
_HASH: Final = "SELECT row_hash FROM gateway.audit WHERE entry_id = $1"


class AuditStore(AuditLog):
    """Reads the log, and appends to it what other services send."""

    def __init__(self, pool: "Pool") -> None:
        """Uses the gateway's pool."""
        super().__init__(pool, _SCHEMA)

    async def faults(self) -> list[str]:
        """What was found wrong when logs were compared."""
        with guard("verify_audit"):
            rows = await self._pool.fetch(_FAULTS)
        return [row["message"] for row in rows]

    async def record(
        self, service: str, entries: Sequence[AuditEntry], last_entry_id: int, seen: Head | None
    ) -> tuple[int, Head]:
        """Copies entries of a service's log; where it goes on, and the head of this log.

        Args:
            service: Whose log it is.
            entries: In order; those that are here already are left out.
            last_entry_id: The newest of its log.
            seen: The head of this log as the service was told before.

        Raises:
            InvalidInput: AUDIT_GAP, an entry is not the next one.
        """
        with guard("record_audit"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_ADD_CHAIN, service, GENESIS)
                chain = Head(*(await connection.fetchrow(_CHAIN, service) or (0, GENESIS)))
                if seen is not None:
                    await _compare(connection, service, seen)
                if last_entry_id < chain.entry_id:
                    await _note_cut(connection, service, chain.entry_id, last_entry_id)
                    chain = Head(last_entry_id, GENESIS)
                for entry in entries:
                    chain = await _copied(connection, service, chain, entry)
                await connection.execute(_ADVANCE, service, chain.entry_id, chain.row_hash)
        return chain.entry_id, await self.head()


async def append(
    connection: "Connection", actor: str, action: str, subject: str, detail: "Detail"
) -> None:
    """Appends one entry in the transaction of the change itself; entries wait for each other."""
    await audit.append(
        connection, _SCHEMA, actor=actor, action=action, subject=subject, detail=detail
    )


async def _copied(connection: "Connection", service: str, chain: Head, entry: AuditEntry) -> Head:
    if entry.entry_id <= chain.entry_id:
        is_other = entry.entry_id == chain.entry_id and entry.row_hash != chain.row_hash
        if is_other and chain.row_hash != GENESIS:
            message = f"{service}: entry {entry.entry_id} of its log was rewritten"
            await connection.execute(_FAULT, message)
        return chain
    if entry.entry_id != chain.entry_id + 1:
        message = f"entry {entry.entry_id} of {service} is not the next: send {chain.entry_id + 1}"
        raise InvalidInput(message, reason="AUDIT_GAP")
    origin = {"entry_id": str(entry.entry_id), "row_hash": entry.row_hash.hex()}
    detail: Mapping[str, str | Mapping[str, str]] = {
        **entry.detail,
        "service": service,
        "origin": origin,
    }
    await audit.append(
        connection,
        _SCHEMA,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        detail=detail,
        occurred_at=entry.occurred_at,
    )
    return Head(entry.entry_id, entry.row_hash)


async def _compare(connection: "Connection", service: str, seen: Head) -> None:
    if seen.entry_id and await connection.fetchval(_HASH, seen.entry_id) != seen.row_hash:
        message = f"gateway: {service} saw another entry {seen.entry_id} than is in this log"
        await connection.execute(_FAULT, message)


async def _note_cut(
    connection: "Connection", service: str, recorded: int, last_entry_id: int
) -> None:
    message = f"{service}: entries {last_entry_id + 1} to {recorded} are missing in its log"
    await connection.execute(_FAULT, message)
