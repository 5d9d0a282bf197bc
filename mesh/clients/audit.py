"""Sends a service's audit log on to the gateway, where all of them are read and watched."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Final

import grpc

from mesh.audit import AuditEntry, AuditLog, Head
from mesh.clients.retry import Backoff
from mesh.clock import Clock
from mesh.errors import SensusError, translated
from mesh.postgres import guard
from sensus.identity.v1 import identity_service_pb2 as pb
from sensus.identity.v1 import identity_service_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from mesh.postgres import Pool

_LOOK_EVERY_S: Final = 1.0
_WITNESS_EVERY_S: Final = 15.0
_PAGE: Final = 500

_WITNESSED: Final = "SELECT entry_id, row_hash FROM {schema}.audit_witness"
_WITNESS: Final = """
    INSERT INTO {schema}.audit_witness (entry_id, row_hash) VALUES ($1, $2)
    ON CONFLICT (only_row) DO UPDATE SET entry_id = $1, row_hash = $2
    WHERE {schema}.audit_witness.entry_id <= $1"""

logger = logging.getLogger(__name__)


class AuditForwarder:
    """Brings each new entry to the gateway, and keeps the head of the gateway's log as a witness.

    Any number of replicas may do so: what is there already is left alone.
    """

    def __init__(self, channel: grpc.aio.Channel, pool: "Pool", schema: str, clock: Clock) -> None:
        """Reads the chain in `schema`; `channel` leads to the gateway."""
        self._stub = pb_grpc.IdentityServiceStub(channel)
        self._pool = pool
        self._schema = schema
        self._log = AuditLog(pool, schema)
        self._clock = clock
        self._recorded: int | None = None
        self._witnessed_at_s = float("-inf")

    async def run(self) -> None:
        """Sends for ever; a worker of the process."""
        waits = Backoff(cap_s=30.0)
        while True:
            try:
                await self.forward()
                waits.reset()
                await self._clock.sleep(_LOOK_EVERY_S)
            except SensusError as error:
                note = {"reason": error.reason, "cause": error.message}
                logger.info("the audit log is sent on later", extra=note)
                self._recorded = None
                await waits.wait()

    async def forward(self) -> None:
        """Sends what the gateway has not; also when there is nothing, every quarter of a minute.

        Raises:
            SensusError: The gateway or the database does not answer.
        """
        if self._recorded is None:
            await self._tell([])
        while entries := await self._log.after(self._recorded or 0, _PAGE):
            await self._tell(entries)
        if self._clock.monotonic_s() - self._witnessed_at_s > _WITNESS_EVERY_S:
            await self._tell([])

    async def _tell(self, entries: list[AuditEntry]) -> None:
        head, witnessed = await self._log.head(), await self._witnessed()
        request = pb.RecordAuditRequest(entries=map(_message, entries), last_entry_id=head.entry_id)
        if witnessed is not None:
            request.witnessed.CopyFrom(_head_message(witnessed))
        with translated():
            answer = await self._stub.RecordAudit(request)
        self._recorded = answer.recorded_entry_id
        self._witnessed_at_s = self._clock.monotonic_s()
        if answer.HasField("head"):
            await self._witness(Head(answer.head.entry_id, answer.head.row_hash), witnessed)

    async def _witnessed(self) -> Head | None:
        with guard("read_audit"):
            row = await self._pool.fetchrow(_WITNESSED.format(schema=self._schema))
        return Head(*row) if row else None

    async def _witness(self, head: Head, before: Head | None) -> None:
        """Keeps the head, and says it in the log too: that copy is out of the database's reach."""
        if head == before:
            return
        note = {"entry_id": head.entry_id, "row_hash": head.row_hash.hex()}
        logger.info("audit head", extra=note)
        with guard("witness_audit"):
            query = _WITNESS.format(schema=self._schema)
            await self._pool.execute(query, head.entry_id, head.row_hash)


def _message(entry: AuditEntry) -> pb.AuditEntry:
    message = pb.AuditEntry(
        entry_id=entry.entry_id,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        row_hash=entry.row_hash,
    )
    message.occurred_at.FromMicroseconds(_microseconds(entry.occurred_at))
    message.detail.update(dict(entry.detail))
    return message


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _head_message(head: Head) -> pb.AuditHead:
    return pb.AuditHead(entry_id=head.entry_id, row_hash=head.row_hash)
