"""The tree of routes, inhibition, and what both say of an incident."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.notifier.routing.intervals import TimeInterval
from services.notifier.routing.matchers import Matchers, match_all, written
from services.notifier.routing.receivers import Receiver

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Who gets it next. `unless` is "acknowledged" or "resolved"."""

    after_s: float
    receiver: str
    unless: str = "acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One node; what it does not say itself it has from its parent. Times in seconds.

    Attributes:
        goes_on: Whether later siblings are asked too when it matched.
        group_by: Labels that make the group labels; None stands for all of them.
        any_alert: Whether it matches when one member of an incident does.
        mute_during: Intervals in which it tells nobody.
        active_during: Intervals outside of which it tells nobody; none means always.
        max_repeats: How often an incident that is still open is repeated; None: until it is over.
    """

    receiver: str
    matchers: Matchers = ()
    goes_on: bool = False
    group_by: tuple[str, ...] | None = ()
    group_wait_s: float = 0.0
    group_interval_s: float = 0.0
    repeat_interval_s: float = 4 * 3600.0
    max_repeats: int | None = None
    any_alert: bool = False
    mute_during: tuple[str, ...] = ()
    active_during: tuple[str, ...] = ()
    escalate: tuple[Step, ...] = ()
    routes: tuple["Route", ...] = ()

    def group_labels(self, labels: Labels) -> dict[str, str]:
        """Of these labels, those that it groups by."""
        names = labels if self.group_by is None else self.group_by
        return {name: labels[name] for name in names if name in labels}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A route that decides, and the way to it from the root."""

    route: Route
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InhibitRule:
    """While a source is open, targets with the same values of `equal` are held back."""

    source: Matchers
    target: Matchers
    equal: tuple[str, ...] = ()

    def source_of(self, target: Labels) -> dict[str, str] | None:
        """Labels that whatever holds `target` back has for sure; None where nothing can.

        What must be absent or empty, or fits a pattern, is left out: `inhibits` decides.
        """
        if not match_all(self.target, target):
            return None
        wanted = {name: target[name] for name in self.equal if target.get(name)}
        return wanted | {m.name: m.value for m in self.source if m.operator == "=" and m.value}

    def inhibits(self, source: Labels, target: Labels) -> bool:
        """Whether one incident holds another one back.

        A target that is like a source too is not held back by one that is like a target too.
        """
        if not match_all(self.source, source) or not match_all(self.target, target):
            return False
        if any(source.get(name, "") != target.get(name, "") for name in self.equal):
            return False
        return not (match_all(self.source, target) and match_all(self.target, source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All that says who gets which notice.

    Attributes:
        fallback: Who gets what another receiver does not answer to; empty for nobody.
        templates: People's own texts, by name.
    """

    root: Route | None = None
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    inhibit: tuple[InhibitRule, ...] = ()
    intervals: Mapping[str, TimeInterval] = field(default_factory=dict)
    fallback: str = ""
    templates: Mapping[str, str] = field(default_factory=dict)

    def matches(self, labels: Labels, members: Sequence[Labels] = ()) -> list[Match]:
        """The routes that decide for these labels, in the order of the tree; none without a root.

        Args:
            labels: Of the incident.
            members: Label sets of its members, for routes that match any alert.
        """
        return [] if self.root is None else list(_matches(self.root, labels, members, ()))

    def has(self, receiver: str, integration: str) -> bool:
        """Whether an integration is one of a receiver's."""
        found = self.receivers.get(receiver)
        return found is not None and integration in found.integrations

    def held_by(self, route: Route, time: datetime) -> str:
        """The interval that holds its notices back at an aware time; empty when none does."""
        for name in route.mute_during:
            if self.intervals[name].holds(time):
                return f"time interval {name} mutes it"
        active = route.active_during
        if active and not any(self.intervals[name].holds(time) for name in active):
            return f"outside of time interval {', '.join(active)}"
        return ""

    def sources_of(self, labels: Labels) -> list[dict[str, str]]:
        """Of each rule that can hold back what has these labels, what its source must have."""
        found = (rule.source_of(labels) for rule in self.inhibit)
        return [each for each in found if each is not None]

    def inhibitor(self, labels: Labels, others: Iterable[tuple[str, Labels]]) -> str:
        """The first of the open incidents, as id and labels, that holds one with `labels` back."""
        for incident_id, source in others:
            if any(rule.inhibits(source, labels) for rule in self.inhibit):
                return incident_id
        return ""


def _matches(
    route: Route, labels: Labels, members: Sequence[Labels], way: tuple[str, ...]
) -> Iterator[Match]:
    sets = (labels, *members) if route.any_alert else (labels,)
    if not any(match_all(route.matchers, each) for each in sets):
        return
    path = (*way, written(route.matchers))
    found = False
    for child in route.routes:
        below = list(_matches(child, labels, members, path))
        yield from below
        found = found or bool(below)
        if below and not child.goes_on:
            break
    if not found:
        yield Match(route=route, path=path)
