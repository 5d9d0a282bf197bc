"""Alerts or anomalies of a time, looked through once for all that ask which of them say most."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Final

from cachetools import LRUCache

from services.explainer.evidence.pieces import as_evidence
from services.explainer.model.evidence import Evidence
from services.explainer.model.subjects import SubjectFacts

_SEVERITIES: Final = {"critical": 0, "warning": 1}
_SAYS_NOTHING: Final = frozenset({"alertname", "severity", "__name__", "job", "prometheus"})
_TIMES_KEPT: Final = 16


class Neighbours:
    """What was found around an event, by the labels that tell where it is."""

    def __init__(self, found: Sequence[SubjectFacts], owner: str) -> None:
        """`owner` is the service that keeps them. Sorts nothing before it is asked."""
        self._found = found
        self._owner = owner
        self._piece_by_id: dict[int, Evidence] = {}
        self._by_label: dict[tuple[str, str], list[SubjectFacts]] = {}
        for each in found:
            for label in _places(each):
                self._by_label.setdefault(label, []).append(each)
        self._closest_by_time: LRUCache[int, list[SubjectFacts]] = LRUCache(_TIMES_KEPT)

    def weightiest(self, facts: SubjectFacts, at_most: int) -> list[SubjectFacts]:
        """The others that say most: severe ones, then those that share labels, then the closest."""
        sharing = Counter[int]()
        wanted: dict[int, SubjectFacts] = {}
        for label in _places(facts):
            having = self._by_label.get(label, ())
            if len(having) < len(self._found):  # what all of them share tells none apart
                sharing.update(map(id, having))
                wanted.update((id(each), each) for each in having)
        rest = (each for each in self._closest(facts.event_ms) if id(each) not in wanted)
        others = [*wanted.values(), *islice(rest, at_most + 1)]
        others.sort(key=lambda each: _weight(each, facts.event_ms, sharing[id(each)]))
        return [each for each in others if each.ref != facts.ref][:at_most]

    def piece(self, each: SubjectFacts) -> Evidence:
        """One of them as evidence, made once."""
        known = self._piece_by_id.get(id(each))
        if known is None:
            known = self._piece_by_id[id(each)] = as_evidence(each, self._owner)
        return known

    def _closest(self, event_ms: int) -> list[SubjectFacts]:
        """All of them as who shares no label with any has them."""
        found = self._closest_by_time.get(event_ms)
        if found is None:
            found = sorted(self._found, key=lambda each: _weight(each, event_ms, 0))
            self._closest_by_time[event_ms] = found
        return found


def _places(facts: SubjectFacts) -> list[tuple[str, str]]:
    return [pair for pair in facts.labels.items() if pair[0] not in _SAYS_NOTHING]


def _weight(each: SubjectFacts, event_ms: int, shared: int) -> tuple[int, int, int, str]:
    severity = _SEVERITIES.get(each.severity, len(_SEVERITIES))
    return severity, -shared, abs(each.event_ms - event_ms), each.ref.id
