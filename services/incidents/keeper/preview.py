"""What other rules would make of what was placed; a million changes take minutes of a thread."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.incidents.correlator import Settings, State, close, correlate
from services.incidents.correlator.bursts import Graph
from services.incidents.correlator.rules import Rule
from services.incidents.lifecycle.events import fold
from services.incidents.lifecycle.members import begun, member_of, members_changed
from services.incidents.lifecycle.times import Times
from services.incidents.model.change import BackgroundNoise, Change, Joined, MemberEnded

_SHOWN = 20


@dataclass(slots=True)
class PreviewIncident:
    """An incident as it would be."""

    first: Joined
    joined: list[Joined] = field(default_factory=list)
    firing: int = 0
    over_ms: int = 0

    @property
    def title(self) -> str:
        """What it would be called, by its first members."""
        new = begun(self.first, self.first.change.start_ms)
        members = [member_of(each) for each in self.joined[:_SHOWN]]
        events = members_changed(new, members, [], {}, self.first.change.start_ms, Times())
        return fold(new, events[0]).title


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """All incidents there would be, oldest first."""

    incidents: Sequence[PreviewIncident]
    member_count: int
    background_count: int


def preview(
    changes: Sequence[Change], rules: Sequence[Rule], graph: Graph, settings: Settings, times: Times
) -> Preview:
    """Places all changes anew, as time passed then."""
    state, found, waiting = State(), dict[str, PreviewIncident](), dict[str, PreviewIncident]()
    background = members = 0
    for change in changes:
        now_ms = change.start_ms if change.end_ms is None else change.end_ms
        _settle(state, waiting, now_ms, settings, times)
        placed = correlate(state, change, graph, rules, now_ms, settings)
        members += change.end_ms is None
        if isinstance(placed, Joined):
            one = found.setdefault(placed.incident_id, PreviewIncident(placed))
            one.joined.append(placed)
            one.firing += 1
            waiting.pop(placed.incident_id, None)
        elif isinstance(placed, MemberEnded):
            one = found[placed.incident_id]
            one.firing -= 1
            if not one.firing:
                one.over_ms = now_ms
                waiting[placed.incident_id] = one
        background += isinstance(placed, BackgroundNoise)
    return Preview(incidents=[*found.values()], member_count=members, background_count=background)


def _settle(
    state: State, waiting: dict[str, PreviewIncident], now_ms: int, settings: Settings, times: Times
) -> None:
    """Resolves what was over for long enough; `waiting` is in the order in which it ended."""
    for incident_id in list(waiting):
        one = waiting[incident_id]
        if one.over_ms + times.settle_ms > now_ms:
            return
        close(state, incident_id, one.over_ms + times.settle_ms + settings.reopen_ms)
        del waiting[incident_id]
