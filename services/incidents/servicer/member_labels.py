"""The label sets of an incident's members, which a watch tells with each of its events."""

from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from sensus.incidents.v1 import incidents_service_pb2 as pb
from services.incidents.convert import common
from services.incidents.model.incident import Incident
from services.incidents.store.incidents import IncidentStore

_MOST: Final = 200
_MOMENT_MS: Final = 1000
_KEPT: Final = 16
"""Incidents. In a storm few of them have hundreds of events a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What was read of an incident that looked like this."""

    incident: Incident
    sets: list[pb.LabelSet]
    is_full: bool
    read_ms: int

    def holds(self, incident: Incident, now_ms: int) -> bool:
        """Whether it would be read again as it is: whatever joins or ends gives an event.

        As many sets as are told, all of members that fire, stay so while members only join. Of a
        moment: the counts do not show members that were split off while others joined.
        """
        before = self.incident
        if incident.event_no == before.event_no:
            return True
        has_ended = _over(incident) != _over(before) or incident.member_count < before.member_count
        return self.is_full and not has_ended and now_ms - self.read_ms < _MOMENT_MS


class MemberLabels:
    """Reads them once for as long as they stay."""

    def __init__(self, incidents: IncidentStore) -> None:
        """Reads from the store of incidents."""
        self._incidents = incidents
        self._known: LRUCache[str, _Known] = LRUCache(_KEPT)

    async def of(self, incident: Incident, now_ms: int) -> list[pb.LabelSet]:
        """Different ones, at most 200, those of members that fire first."""
        known = self._known.get(incident.incident_id)
        if known is None or not known.holds(incident, now_ms):
            found = await self._incidents.member_labels(incident.incident_id, _MOST)
            known = self._known[incident.incident_id] = _Known(
                incident=incident,
                sets=[pb.LabelSet(labels=common.labels(labels)) for labels, _ in found],
                is_full=len(found) == _MOST and all(fires for _, fires in found),
                read_ms=now_ms,
            )
        return known.sets


def _over(incident: Incident) -> int:
    return incident.member_count - incident.firing_count
