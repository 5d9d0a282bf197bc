"""/api/v1/audit: who changed what, and whether the log is as it was written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.http.bodies import json_response
from services.gateway.http.endpoint import Endpoint, Operation
from services.gateway.http.queries import integer, only
from services.gateway.model import AuditEntry
from services.gateway.routes.users import ADMINS
from services.gateway.store import AuditStore

_NEWEST: Final = 2**63 - 1


class Entry(msgspec.Struct, kw_only=True):
    """One change of state; hashes in hexadecimal."""

    entry_id: int
    occurred_at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, str]
    prev_hash: str
    row_hash: str


class EntryList(msgspec.Struct, kw_only=True):
    """A page of entries, newest first."""

    entries: list[Entry]


class Verdict(msgspec.Struct, kw_only=True):
    """Whether the chain holds. What was cut off at its end does not show in it."""

    intact: bool
    first_broken_entry_id: int | None


def _parameter(name: str, told: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": told, "schema": {"type": "integer"}}


_LIST: Final = Operation(
    tag="Administration",
    name="ListAuditEntries",
    summary="Lists changes of state, newest first",
    answer=EntryList,
    parameters=(
        _parameter("limit", "1 to 1000, 100 by default"),
        _parameter("before_entry_id", "only older entries"),
    ),
)
_VERIFY: Final = Operation(
    tag="Administration",
    name="VerifyAudit",
    summary="Recomputes the chain of hashes",
    answer=Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRoutes:
    """Reading the audit log."""

    audit: AuditStore

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        return [
            Endpoint(
                method="GET",
                path="/api/v1/audit",
                policy=ADMINS,
                handle=self._list,
                operation=_LIST,
            ),
            Endpoint(
                method="GET",
                path="/api/v1/audit:verify",
                policy=ADMINS,
                handle=self._verify,
                operation=_VERIFY,
            ),
        ]

    async def _list(self, request: Request) -> Response:
        only(request, ("limit", "before_entry_id"))
        limit = integer(request, "limit", default=100, least=1, most=1000)
        before = integer(request, "before_entry_id", default=_NEWEST, least=1, most=_NEWEST)
        entries = [_shown(entry) for entry in await self.audit.newest(before, limit)]
        return json_response(EntryList(entries=entries))

    async def _verify(self, request: Request) -> Response:
        broken = await self.audit.first_broken()
        return json_response(Verdict(intact=broken is None, first_broken_entry_id=broken))


def _shown(entry: AuditEntry) -> Entry:
    return Entry(
        entry_id=entry.entry_id,
        occurred_at=entry.occurred_at,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        detail=dict(entry.detail),
        prev_hash=entry.prev_hash.hex(),
        row_hash=entry.row_hash.hex(),
    )
