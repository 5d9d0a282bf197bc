"""Which services of the traces work together, how much they were asked, and what is rare there.

Whoever calls whom is one system: a company has several, and what fails in one of them is no share
of another one. That two of them use one database does not make them one. Pure counts.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from scipy.special import betainc

from services.explainer.model.traces import Call, CallKind, Traces
from services.explainer.rankers.counts import PRIOR, sigmas_of

ENOUGH: Final = 0.2
"""A share of the requests from which on what happens to them counts fully."""

DOMINANT: Final = 0.5
"""A share of all that fails from which on a place counts fully: the rest may be hurt by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Services that call one another, directly or not.

    Attributes:
        observed: Requests that came to it from outside in the observed span.
        usual: The same in the span that tells what is usual.
    """

    services: frozenset[str]
    observed: float
    usual: float

    def expected(self, usual: float) -> float:
        """How many of what is so often usual are due in the observed span."""
        return usual * self.observed / self.usual if self.usual else 0.0

    def surprise(self, seen: float, usual: float, questions: int) -> float:
        """Standard deviations by which a count exceeds what the past makes likely, ≥ 0.

        A Poisson count per request whose rate is known from the past by Jeffreys' prior. The more
        places were asked about, the less one of them says.

        >>> system = System(services=frozenset({"a"}), observed=100, usual=1000)
        >>> [round(system.surprise(n, 10, 1), 1) for n in (0, 1, 5, 20)]
        [0.0, 0.0, 2.4, 7.6]
        """
        if seen <= 0 or not self.observed or not self.usual:
            return 0.0
        share = self.observed / (self.observed + self.usual)
        likely = float(betainc(max(seen, PRIOR), usual + PRIOR, share))
        return sigmas_of(min(1.0, likely * max(1, questions)))


def systems_of(traces: Traces) -> Mapping[str, System]:
    """The system of every service; what several systems use, such as a database, is one of its own.

    Such a one was asked by all requests of those that use it.
    """
    groups = _connected(traces)
    entries = [each for each in traces.calls if each.via is CallKind.ENTRY]
    found: dict[str, System] = {}
    for services in groups:
        own = [each for each in entries if each.service in services]
        observed = _requests(each.observed.spans for each in own)
        usual = _requests(each.usual.spans for each in own)
        if not own:  # nobody saw them come in
            observed, usual = traces.observed.traces, traces.usual.traces
        system = System(services=services, observed=observed, usual=usual)
        found |= dict.fromkeys(services, system)
    return found | {
        each: _shared(each, users, found) for each, users in _infrastructure(traces).items()
    }


def comparable(traces: Traces) -> float:
    """How many usual requests there are for an observed one, 0..1, in the system with most.

    What is new has no usual, and that of a few requests may be anything.
    """
    if not traces.observed.traces or not traces.usual.traces:
        return 0.0
    known = (each for each in systems_of(traces).values() if each.observed)
    return max((min(1.0, each.usual / each.observed) for each in known), default=0.0)


def within(traces: Traces, names: Collection[str]) -> Traces:
    """What was counted of the systems of these services; all of it when they are in none.

    What other systems do to a database that both use is seen by how ours fare with it.
    """
    own = {each for s in _connected(traces) if s & set(names) for each in s}
    if not own:
        return traces
    calls = tuple(c for c in traces.calls if (c.caller or c.service) in own or c.service in own)
    hurt = {c.service for c in calls if c.observed.errors}
    near = own | (hurt & _infrastructure(traces).keys())
    return replace(
        traces,
        calls=calls,
        origins=tuple(each for each in traces.origins if each.service in near),
        shapes=tuple(each for each in traces.shapes if each.service in own),
        lines=tuple(each for each in traces.lines if each.service in own),
        versions=tuple(each for each in traces.versions if each.service in own),
    )


def _requests(spans: Iterable[int]) -> float:
    return float(sum(spans))


def _infrastructure(traces: Traces) -> Mapping[str, frozenset[str]]:
    """What sends no spans of its own, and who calls it."""
    serving = {each.service for each in traces.calls if each.via in (CallKind.CALL, CallKind.ENTRY)}
    serving |= {each.caller for each in traces.calls}
    users: dict[str, set[str]] = defaultdict(set)
    for caller, callee in traces.edges:
        if callee not in serving:
            users[callee].add(caller)
    return {each: frozenset(by) for each, by in users.items()}


def _shared(name: str, users: frozenset[str], systems: Mapping[str, System]) -> System:
    using = {systems[each].services: systems[each] for each in users}
    if len(using) == 1:
        return next(iter(using.values()))
    return System(
        services=frozenset({name}),
        observed=sum(each.observed for each in using.values()),
        usual=sum(each.usual for each in using.values()),
    )


def _connected(traces: Traces) -> list[frozenset[str]]:
    infrastructure = _infrastructure(traces).keys()
    beside: dict[str, set[str]] = defaultdict(set)
    for caller, callee in traces.edges:
        if callee not in infrastructure:
            beside[caller].add(callee)
            beside[callee].add(caller)
    groups: list[frozenset[str]] = []
    left = set(traces.services - infrastructure)
    while left:
        frontier = {min(left)}
        group: set[str] = set()
        while frontier:
            group |= frontier
            frontier = {other for each in frontier for other in beside[each]} - group
        groups.append(frozenset(group))
        left -= group
    return groups


class AddressOwners:
    """Which service is meant by an address, or by an operation that nobody served.

    A service that is gone sends no spans: its callers name its address, or the operation that they
    asked for. Meant is who usually answers that operation, or else the one whom this operation of
    the caller now asks less by about as much as it asks the address.
    """

    def __init__(self, traces: Traces, systems: Mapping[str, System]) -> None:
        """Learns from all that was answered."""
        self._systems = systems
        self._answered: dict[str, set[str]] = defaultdict(set)
        self._served: set[tuple[str, str]] = set()
        self._called: dict[tuple[str, str], list[Call]] = defaultdict(list)
        self._asked: dict[str, list[Call]] = defaultdict(list)
        for each in traces.calls:
            if each.via in (CallKind.CALL, CallKind.ENTRY) and not each.is_outward:
                self._served.add((each.service, each.operation))
            if each.via is CallKind.CALL:
                self._answered[each.operation].add(each.service)
                self._called[each.caller, each.caller_operation].append(each)
            if each.via is CallKind.ADDRESS:
                self._asked[each.service].append(each)

    def __call__(self, service: str, operation: str, caller: str = "") -> str:
        """Who stands behind what a caller calls; the same name where that is not known."""
        if (service, operation) in self._served:
            return service
        system = self._systems.get(service) or self._systems.get(caller)
        answering = self._answered[operation] - {service}
        answering &= system.services if system else frozenset()
        missed = {
            each.service
            for by in self._asked[service]
            for each in self._called[by.caller, by.caller_operation]
            if self._missed(each) > DOMINANT * by.observed.spans and not by.usual.spans
        }
        found = answering or missed
        return min(found) if len(found) == 1 else service

    def _missed(self, call: Call) -> float:
        system = self._systems.get(call.service)
        return system.expected(call.usual.spans) - call.observed.spans if system else 0.0
