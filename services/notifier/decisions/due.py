"""What a timer that is due gives."""

from dataclasses import dataclass, field, replace

from services.notifier.decisions.plan import StoredState, match_for, notices_of
from services.notifier.model.incident import Incident, State
from services.notifier.model.notices import Event, Kind, NewNotice
from services.notifier.model.timers import Timer, TimerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DueNotices:
    """Notices to store, and the timers that follow."""

    notices: list[NewNotice] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)


def due(timer: Timer, incident: Incident, known: StoredState) -> DueNotices:
    """An escalation tells its receiver unless it was stopped; a repeat tells again and goes on."""
    if incident.state.is_over:
        return DueNotices()
    if timer.kind is TimerKind.ESCALATE:
        stopped = timer.unless == "acknowledged" and incident.state is not State.OPEN
        return (
            DueNotices()
            if stopped
            else DueNotices(notices=_notices(timer, Kind.ESCALATED, incident, known))
        )
    if timer.repeats_max is not None and timer.step > timer.repeats_max:
        return DueNotices()
    following = replace(timer, step=timer.step + 1, after_s=timer.every_s)
    is_quiet = incident.state is State.SETTLING
    notices = [] if is_quiet else _notices(timer, Kind.STILL_OPEN, incident, known)
    # what is held back is not worth telling later: the next repeat comes
    return DueNotices(notices=[each for each in notices if not each.held_by], timers=[following])


def _notices(timer: Timer, kind: Kind, incident: Incident, known: StoredState) -> list[NewNotice]:
    match = match_for(known.holds.routing, incident, timer.receiver)
    if match is None:
        return []
    return list(
        notices_of(
            kind,
            incident,
            Event(time_ms=timer.event_ms, actor="sensus"),
            match,
            known,
            transition=timer.transition,
            step=f"{timer.kind}-{timer.step}",
            receiver=timer.receiver,
        )
    )
