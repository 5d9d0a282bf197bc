"""What goes to the fallback receiver in place of one that does not answer."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from services.notifier.model.notices import Kind, NewNotice, Notice
from services.notifier.routing.tree import Routing
from services.notifier.store.rows import COLUMNS, insert, notice_of

if TYPE_CHECKING:
    from services.notifier.store.rows import Connection

_COPIED_MAX: Final = 1000
_OPEN: Final = "SELECT receiver, integration FROM notifier.integration WHERE open_until > now()"
_WAITING: Final = f"""
SELECT {COLUMNS} FROM notifier.notice
WHERE receiver = $1 AND integration = $2 AND state IN ('pending', 'sending')
ORDER BY seq LIMIT {_COPIED_MAX}
"""  # noqa: S608


def copies(routing: Routing, notices: Iterable[NewNotice]) -> list[NewNotice]:
    """The same notices to the fallback receiver; none for its own, and none for mere edits."""
    fallback = routing.receivers.get(routing.fallback)
    if fallback is None:
        return []
    return [
        replace(
            notice,
            receiver=fallback.name,
            integration=name,
            instead_of=notice.receiver,
            wait_s=0.0,
            cause_wait_s=0.0,
        )
        for notice in notices
        if notice.receiver != fallback.name
        and not notice.held_by
        and not notice.instead_of
        and notice.kind not in (Kind.EDITED, Kind.TEST)
        for name in fallback.integrations
    ]


def again(notice: Notice, *, step: str = "") -> NewNotice:
    """A stored notice as one to store: to be copied, or with a step to be sent once more."""
    return NewNotice(
        incident_id=notice.incident_id,
        transition=notice.transition,
        kind=notice.kind,
        severity=notice.severity,
        receiver=notice.receiver,
        integration=notice.integration,
        title=notice.title,
        content=notice.content,
        path=notice.path,
        step=step or notice.step,
        instead_of=notice.instead_of,
        resent_of=notice.notice_id if step else None,
    )


async def insert_with_copies(
    connection: "Connection", routing: Routing, notices: Sequence[NewNotice]
) -> int:
    """Stores notices, and copies of those whose way is left alone now; how many are new."""
    added = len(await insert(connection, notices))
    if routing.fallback and notices:
        is_open = {(row["receiver"], row["integration"]) for row in await connection.fetch(_OPEN)}
        stuck = [each for each in notices if (each.receiver, each.integration) in is_open]
        added += len(await insert(connection, copies(routing, stuck)))
    return added


async def copy_waiting(
    connection: "Connection", routing: Routing, receiver: str, integration: str
) -> None:
    """Copies all that waits for a way, when it begins to be left alone."""
    rows = await connection.fetch(_WAITING, receiver, integration)
    await insert(connection, copies(routing, [again(notice_of(row)) for row in rows]))
