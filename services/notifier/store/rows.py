"""Rows as notices and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from services.notifier.model.incident import Incident, Severity
from services.notifier.model.notices import Content, Kind, NewNotice, Notice, NoticeState

if TYPE_CHECKING:
    import asyncpg

    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )

TOLD_KINDS: Final = tuple(
    str(kind)
    for kind in (
        Kind.OPENED,
        Kind.AGAIN,
        Kind.FLAPPING,
        Kind.WORSENED,
        Kind.UNATTENDED,
        Kind.STILL_OPEN,
        Kind.ESCALATED,
    )
)
"""Whoever got one of these knows of the incident."""

_MS: Final = "(extract(epoch FROM {}) * 1000)::bigint AS {}"
COLUMNS: Final = ", ".join(
    (
        "notice_id, seq, incident_id, transition, step, kind, state, severity, receiver",
        "integration",
        "title, content, path, held_by, instead_of, attempt, digest_id, resent_of",
        _MS.format("event_time", "event_ms"),
        _MS.format("create_time", "create_ms"),
        _MS.format("coalesce(sent_time, 'epoch')", "sent_ms"),
        _MS.format("next_attempt", "next_attempt_ms"),
        "extract(epoch FROM clock_timestamp() - ready_time)::double precision AS age_s",
        "extract(epoch FROM clock_timestamp() - event_time)::double precision AS late_s",
    )
)
_INSERT: Final = """
INSERT INTO notifier.notice (notice_key, incident_id, transition, kind, state, severity, receiver,
    integration, title, content, path, held_by, instead_of, resent_of, event_time, next_attempt,
    ready_time, step)
SELECT $1, $2, $3, $4, CASE WHEN $5 = '' THEN 'pending' ELSE 'held' END, $6, $7, $8, $9, $10,
    $11::text[], $5, $12, $13, event, least(greatest(now(), event + $17 * interval '1 s'),
    now() + $17 * interval '1 s'), least(greatest(now(), event + $15 * interval '1 s'),
    now() + $15 * interval '1 s'), $16
FROM (SELECT to_timestamp($14 / 1000.0) AS event) AS at
ON CONFLICT (notice_key) DO NOTHING RETURNING notice_id
"""

_decode_content: Final = msgspec.json.Decoder(Content).decode
_decode_incident: Final = msgspec.json.Decoder(Incident).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationKey:
    """One integration of one receiver."""

    receiver: str
    integration: str


def notice_of(row: "asyncpg.Record") -> Notice:
    """A row with `COLUMNS`."""
    values = dict(row)
    return Notice(
        **values
        | {
            "kind": Kind(values["kind"]),
            "state": NoticeState(values["state"]),
            "severity": Severity(values["severity"]),
            "content": _decode_content(values["content"]),
            "path": tuple(values["path"]),
        }
    )


def incident_of(document: bytes) -> Incident:
    """A stored incident."""
    return _decode_incident(document)


async def insert(connection: "Connection", notices: Iterable[NewNotice]) -> list[UUID]:
    """Stores what is not there yet; the ids of those that were not. In the caller's transaction."""
    found = []
    for notice in notices:
        added = await connection.fetchval(_INSERT, *_values(notice))
        if added is not None:
            found.append(added)
    return found


def _values(notice: NewNotice) -> Sequence[Any]:
    return (
        notice.key,
        notice.incident_id,
        notice.transition,
        str(notice.kind),
        notice.held_by,
        str(notice.severity),
        notice.receiver,
        notice.integration,
        notice.title,
        msgspec.json.encode(notice.content),
        list(notice.path),
        notice.instead_of,
        notice.resent_of,
        float(notice.content.event.time_ms),
        notice.wait_s,
        notice.step,
        notice.cause_wait_s,
    )
