"""/api/v1/audit: who changed what, and whether the log is as it was written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.audit import AuditEntry
from services.gateway.http.bodies import JsonResponse
from services.gateway.http.endpoint import Endpoint, Operation
from services.gateway.http.queries import PAGE_NAMES, Page, bad_page_token, only, page_parameters
from services.gateway.routes.users import ADMINS
from services.gateway.store import AuditStore

_NEWEST: Final = 2**63 - 1


class Entry(msgspec.Struct, rename="camel", kw_only=True):
    """One change of state; hashes in hexadecimal. `detail` may hold `before` and `after`."""

    entry_id: int
    occurred_at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    prev_hash: str
    row_hash: str


class EntryList(msgspec.Struct, rename="camel", kw_only=True):
    """A page of entries, newest first; without a token for more it is the last."""

    entries: list[Entry]
    next_page_token: str


class Verdict(msgspec.Struct, rename="camel", kw_only=True):
    """Whether the chain holds, and agrees with what the other services have seen of it.

    `faults` names what was found wrong while the logs of the services were compared.
    """

    intact: bool
    first_broken_entry_id: int | None
    faults: list[str]


_LIST: Final = Operation(
    tag="Administration",
    name="ListAuditEntries",
    summary="Lists changes of state, newest first",
    answer=EntryList,
    parameters=page_parameters(),
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
        only(request, PAGE_NAMES)
        page = Page.of(request)
        found = await self.audit.newest(_before(page.token), page.size + 1)
        entries = [_shown(entry) for entry in found[: page.size]]
        more = str(entries[-1].entry_id) if len(found) > page.size else ""
        return JsonResponse(EntryList(entries=entries, next_page_token=more))

    async def _verify(self, request: Request) -> Response:
        broken, faults = await self.audit.first_broken(), await self.audit.faults()
        intact = broken is None and not faults
        verdict = Verdict(intact=intact, first_broken_entry_id=broken, faults=faults)
        return JsonResponse(verdict)


def _before(token: str) -> int:
    if not token:
        return _NEWEST
    if not (token.isascii() and token.isdecimal() and len(token) < 19):
        raise bad_page_token()
    return int(token)


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
