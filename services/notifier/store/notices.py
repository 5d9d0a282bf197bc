"""Notices as people ask for them, and those that they ask for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mesh import audit
from mesh.errors import FailedPrecondition, NotFound
from mesh.postgres import guard
from services.notifier.model.notices import Attempt, NewNotice, Notice, NoticeState
from services.notifier.store.rows import COLUMNS, insert, notice_of

if TYPE_CHECKING:
    from mesh.postgres import Pool
    from services.notifier.store.rows import Connection

_LIST: Final = f"""
SELECT {COLUMNS} FROM notifier.notice
WHERE ($1 = '' OR incident_id = $1) AND ($2 = '' OR receiver = $2) AND ($3 = '' OR state = $3)
  AND seq < $4 ORDER BY seq DESC LIMIT $5
"""  # noqa: S608
_GET: Final = f"SELECT {COLUMNS} FROM notifier.notice WHERE notice_id = $1"  # noqa: S608
_BY_KEY: Final = f"SELECT {COLUMNS} FROM notifier.notice WHERE notice_key = $1"  # noqa: S608
_ATTEMPTS: Final = """
SELECT * FROM (
    SELECT attempt, (extract(epoch FROM start_time) * 1000)::bigint AS start_ms, latency_ms, status,
        error, answer
    FROM notifier.attempt WHERE notice_id = $1 ORDER BY attempt DESC LIMIT 100
) AS newest ORDER BY attempt
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFilter:
    """Which notices; empty fields stand for any."""

    incident_id: str = ""
    receiver: str = ""
    state: str = ""


class Notices:
    """Questions about notices."""

    def __init__(self, pool: "Pool") -> None:
        """Uses `pool` for each question."""
        self._pool = pool

    async def page(self, wanted: NoticeFilter, before_seq: int, limit: int) -> list[Notice]:
        """Notices decided before one, the newest first, without attempts."""
        queries = (wanted.incident_id, wanted.receiver, wanted.state, before_seq, limit)
        with guard("list_notices"):
            return [notice_of(row) for row in await self._pool.fetch(_LIST, *queries)]

    async def get(self, notice_id: UUID) -> Notice:
        """One notice with its attempts.

        Raises:
            NotFound: NOTICE_NOT_FOUND.
        """
        with guard("get_notice"):
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(_GET, notice_id)
                if row is None:
                    raise NotFound("notice", str(notice_id))
                rows = await connection.fetch(_ATTEMPTS, notice_id)
        return replace(notice_of(row), attempts=tuple(Attempt(**dict(each)) for each in rows))

    async def add(self, notices: Sequence[NewNotice], *, action: str, subject: str) -> list[Notice]:
        """Stores notices that a person asked for; what is there already is answered as it is."""
        with guard("add_notices"):
            async with self._pool.acquire() as connection, connection.transaction():
                added = await insert(connection, notices)
                if added:
                    detail = {"outcome": "done", "notices": ",".join(map(str, added))}
                    await audit.append(
                        connection, "notifier", action=action, subject=subject, detail=detail
                    )
                return [await self._stored(connection, each) for each in notices]

    async def _stored(self, connection: "Connection", notice: NewNotice) -> Notice:
        row = await connection.fetchrow(_BY_KEY, notice.key)
        if row is None:
            raise NotFound("notice", notice.key.hex())
        return notice_of(row)


def check_over(notice: Notice) -> None:
    """Raises: FailedPrecondition (NOTICE_PENDING) while a notice is still on its way."""
    if notice.state in (NoticeState.PENDING, NoticeState.SENDING):
        message = "the notice is still on its way: wait until it is sent or given up"
        raise FailedPrecondition(message, reason="NOTICE_PENDING")
