"""What becomes of notices that are held back."""

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from itertools import groupby
from uuid import UUID

from services.notifier.decisions.plan import StoredState, match_for
from services.notifier.model.incident import Incident
from services.notifier.model.notices import Kind, Notice


class Verdict(Enum):
    """What becomes of one."""

    KEEP = auto()
    LET_GO = auto()
    DROP = auto()


def judge(
    notices: Sequence[Notice], incident: Incident, known: StoredState
) -> list[tuple[UUID, Verdict]]:
    """A verdict for each; of those to one integration only the newest can still matter.

    What tells of an incident that is over is dropped, except its end to those who know of it.
    """
    in_order = sorted(notices, key=lambda each: (each.receiver, each.integration, each.seq))
    return [
        verdict
        for way, group in groupby(in_order, key=lambda each: (each.receiver, each.integration))
        for verdict in _judged(way, list(group), incident, known)
    ]


def _judged(
    way: tuple[str, str], group: list[Notice], incident: Incident, known: StoredState
) -> Iterator[tuple[UUID, Verdict]]:
    *older, newest = group
    match = match_for(known.holds.routing, incident, way[0])
    tells_end = newest.kind in (Kind.RESOLVED, Kind.MERGED)
    if match is None or (incident.state.is_over and not (tells_end and way in known.notified)):
        yield from ((each.notice_id, Verdict.DROP) for each in group)
        return
    is_held = known.holds.of(newest.kind, incident, match.route)
    if is_held and not incident.state.is_over:
        yield from ((each.notice_id, Verdict.KEEP) for each in group)
        return
    yield from ((each.notice_id, Verdict.DROP) for each in older)
    yield newest.notice_id, Verdict.KEEP if is_held else Verdict.LET_GO
