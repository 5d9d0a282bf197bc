"""From the text of a routing to the routing, with all that is wrong with it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from services.notifier.routing.matchers import Matcher, MatcherError, Matchers, matcher, parse
from services.notifier.routing.periods import intervals
from services.notifier.routing.receivers import (
    CHANNELS,
    Apprise,
    Email,
    Integration,
    Rate,
    Receiver,
    Slack,
    Webhook,
)
from services.notifier.routing.references import check_references
from services.notifier.routing.text import Faults, convert, mapping, seconds
from services.notifier.routing.tree import InhibitRule, Route, Routing, Step

TEMPLATE_BYTES_MAX: Final = 64 * 1024
_TOP: Final = frozenset(
    {
        "route",
        "receivers",
        "inhibit_rules",
        "time_intervals",
        "mute_time_intervals",
        "templates",
        "fallback",
    }
)
_LISTS: Final[dict[str, type[Integration]]] = {
    f"{channel}_configs": kind for kind, channel in CHANNELS.items()
}
_CAN_FOLD: Final = (Webhook, Email, Slack, Apprise)


class _Step(msgspec.Struct, forbid_unknown_fields=True):
    after: str
    receiver: str
    unless: str = "acknowledged"


class _Route(msgspec.Struct, forbid_unknown_fields=True, rename={"goes_on": "continue"}):
    receiver: str | None = None
    matchers: list[str] | str = []
    match: dict[str, str] = {}
    match_re: dict[str, str] = {}
    goes_on: bool = False
    group_by: list[str] | None = None
    group_wait: str | None = None
    group_interval: str | None = None
    repeat_interval: str | None = None
    max_repeats: int | None = None
    any_alert: bool = False
    mute_time_intervals: list[str] = []
    active_time_intervals: list[str] = []
    escalate: list[_Step] = []
    routes: list[Any] = []


class _Inhibit(msgspec.Struct, forbid_unknown_fields=True):
    source_matchers: list[str] | str = []
    source_match: dict[str, str] = {}
    source_match_re: dict[str, str] = {}
    target_matchers: list[str] | str = []
    target_match: dict[str, str] = {}
    target_match_re: dict[str, str] = {}
    equal: list[str] = []


class _Rate(msgspec.Struct, forbid_unknown_fields=True):
    notices: int
    per: str = "1m"


def read(text: str) -> tuple[Routing, Faults]:
    """The routing of a text; what is faulty in it is left out and named.

    Cost: holds the thread for up to a second per megabyte.
    """
    faults = Faults()
    top = mapping(text, faults)
    if faults.found:
        return Routing(), faults
    for name in top.keys() - _TOP:
        faults.add(str(name), f"not be there: known are {', '.join(sorted(_TOP))}")
    return _Reader(top, faults).routing(), faults


class _Reader:
    """Reads one document; `faults` fills as it goes."""

    def __init__(self, top: dict[str, Any], faults: Faults) -> None:
        self._top = top
        self._faults = faults
        self._receivers: dict[str, Receiver] = {}
        self._intervals: frozenset[str] = frozenset()

    def routing(self) -> Routing:
        """All of it."""
        found = intervals(self._top, self._faults)
        self._intervals = frozenset(found)
        self._receivers = self._all_receivers()
        root = self._root()
        if root is not None:
            self._check_reach(root, "route")
        return Routing(
            root=root,
            receivers=self._receivers,
            inhibit=tuple(self._inhibitions()),
            intervals=found,
            fallback=self._known(str(self._top.get("fallback") or ""), "fallback"),
            templates=self._templates(),
        )

    def _list(self, name: str) -> list[Any]:
        found = self._top.get(name) or []
        if not isinstance(found, list):
            self._faults.add(name, "be a list")
            return []
        return found

    def _all_receivers(self) -> dict[str, Receiver]:
        found: dict[str, Receiver] = {}
        for index, node in enumerate(self._list("receivers")):
            path = f"receivers[{index}]"
            receiver = self._receiver(node, path)
            if receiver is not None and receiver.name in found:
                self._faults.add(f"{path}.name", f"be unique: {receiver.name!r} is there already")
            elif receiver is not None:
                found[receiver.name] = receiver
        return found

    def _receiver(self, node: Any, path: str) -> Receiver | None:
        if not isinstance(node, dict) or not isinstance(node.get("name"), str) or not node["name"]:
            self._faults.add(f"{path}.name", "be the name of the receiver")
            return None
        name = node["name"]
        if len(name) > 200 or not name.isprintable():
            self._faults.add(f"{path}.name", "be at most 200 characters, all of them printable")
        for key in node.keys() - {"name", "rate", *_LISTS}:
            self._faults.add(f"{path}.{key}", f"not be there: known are {', '.join(_LISTS)}")
        integration_store: dict[str, Integration] = {}
        for key, kind in _LISTS.items():
            for index, each in enumerate(node.get(key) or []):
                if (way := self._integration(each, kind, f"{path}.{key}[{index}]")) is not None:
                    integration_store[f"{CHANNELS[kind]}[{index}]"] = way
        return Receiver(
            name=name,
            integrations=integration_store,
            rate=self._rate(node, integration_store, path),
        )

    def _integration(self, node: Any, kind: type[Integration], path: str) -> Integration | None:
        way = convert(node, kind, path, self._faults)
        if way is not None:
            check_references(way, path, self._faults)
            for name in ("title", "text"):
                if len(getattr(way, name).encode()) > TEMPLATE_BYTES_MAX:
                    self._faults.add(f"{path}.{name}", f"be at most {TEMPLATE_BYTES_MAX} bytes")
        return way

    def _rate(
        self, node: dict[str, Any], integration_store: Mapping[str, Integration], path: str
    ) -> Rate | None:
        if "rate" not in node:
            return None
        found = convert(node["rate"], _Rate, f"{path}.rate", self._faults)
        if found is None:
            return None
        per_s = seconds(found.per, f"{path}.rate.per", self._faults)
        if found.notices < 1 or per_s <= 0:
            self._faults.add(f"{path}.rate", "be at least one notice in a time, as in 10 per 1m")
            return None
        if any(not isinstance(way, _CAN_FOLD) for way in integration_store.values()):
            message = "not be there: PagerDuty and ServiceNow take no digests; split the receiver"
            self._faults.add(f"{path}.rate", message)
        return Rate(notices=found.notices, per_s=per_s)

    def _root(self) -> Route | None:
        if "route" not in self._top:
            self._faults.add("route", "be there: it is who is told when nothing else matches")
            return None
        start = Route(receiver="")
        root = self._route(self._top["route"], start, "route")
        if root is None:
            return None
        if not root.receiver:
            self._faults.add("route.receiver", "be there: it is told when no other route matches")
        if root.matchers or root.goes_on or root.mute_during or root.active_during:
            message = "have no matchers, no continue and no time intervals: it takes everything"
            self._faults.add("route", message)
        return root

    def _route(self, node: Any, parent: Route, path: str) -> Route | None:
        said = convert(node, _Route, path, self._faults)
        if said is None:
            return None
        receiver = parent.receiver if said.receiver is None else said.receiver
        if said.receiver is not None or path == "route":
            self._known(receiver, f"{path}.receiver")
        by = said.group_by
        route = Route(
            receiver=receiver,
            matchers=self._matchers(said.matchers, said.match, said.match_re, path, ""),
            goes_on=said.goes_on,
            group_by=parent.group_by if by is None else None if by == ["..."] else tuple(by),
            group_wait_s=self._time(said.group_wait, parent.group_wait_s, path, "group_wait"),
            group_interval_s=self._time(
                said.group_interval, parent.group_interval_s, path, "group_interval"
            ),
            repeat_interval_s=self._time(
                said.repeat_interval, parent.repeat_interval_s, path, "repeat_interval"
            ),
            max_repeats=parent.max_repeats if said.max_repeats is None else said.max_repeats,
            any_alert=said.any_alert,
            mute_during=self._named_intervals(said.mute_time_intervals, path, "mute"),
            active_during=self._named_intervals(said.active_time_intervals, path, "active"),
            escalate=tuple(self._steps(said.escalate, path)) or parent.escalate,
        )
        if route.repeat_interval_s <= 0:
            self._faults.add(f"{path}.repeat_interval", "be more than 0")
        below = [
            self._route(child, route, f"{path}.routes[{index}]")
            for index, child in enumerate(said.routes)
        ]
        found = tuple(child for child in below if child is not None)
        return replace(route, routes=found)

    def _time(self, said: str | None, inherited_s: float, path: str, name: str) -> float:
        return inherited_s if said is None else seconds(said, f"{path}.{name}", self._faults)

    def _steps(self, said: list[_Step], path: str) -> list[Step]:
        found, last_s = [], 0.0
        for index, each in enumerate(said):
            place = f"{path}.escalate[{index}]"
            after_s = seconds(each.after, f"{place}.after", self._faults)
            if each.unless not in ("acknowledged", "resolved"):
                self._faults.add(f"{place}.unless", "be acknowledged or resolved")
            if after_s <= last_s:
                self._faults.add(f"{place}.after", "be more than 0 and than the step before")
            self._known(each.receiver, f"{place}.receiver")
            found.append(Step(after_s=after_s, receiver=each.receiver, unless=each.unless))
            last_s = after_s
        return found

    def _named_intervals(self, names: list[str], path: str, which: str) -> tuple[str, ...]:
        for index, name in enumerate(names):
            if name not in self._intervals:
                place = f"{path}.{which}_time_intervals[{index}]"
                self._faults.add(place, f"name one of time_intervals; {name!r} is none")
        return tuple(name for name in names if name in self._intervals)

    def _known(self, receiver: str, path: str) -> str:
        if receiver and receiver not in self._receivers:
            self._faults.add(path, f"name one of receivers; {receiver!r} is none")
        return receiver

    def _matchers(
        self,
        said: list[str] | str,
        equal: Mapping[str, str],
        like: Mapping[str, str],
        path: str,
        prefix: str,
    ) -> Matchers:
        found: list[Matcher] = []
        texts = [said] if isinstance(said, str) else said
        try:
            found += [matcher(name, "=", value) for name, value in equal.items()]
            found += [matcher(name, "=~", value) for name, value in like.items()]
            found += [each for text in texts for each in parse(text)]
        except MatcherError as error:
            self._faults.add(f"{path}.{prefix}matchers", str(error))
        return tuple(sorted(found, key=lambda each: (each.name, each.operator, each.value)))

    def _inhibitions(self) -> list[InhibitRule]:
        found = []
        for index, node in enumerate(self._list("inhibit_rules")):
            path = f"inhibit_rules[{index}]"
            said = convert(node, _Inhibit, path, self._faults)
            if said is None:
                continue
            source = self._matchers(
                said.source_matchers, said.source_match, said.source_match_re, path, "source_"
            )
            target = self._matchers(
                said.target_matchers, said.target_match, said.target_match_re, path, "target_"
            )
            found.append(InhibitRule(source=source, target=target, equal=tuple(said.equal)))
        return found

    def _templates(self) -> dict[str, str]:
        found = self._top.get("templates") or {}
        if not isinstance(found, dict) or not all(isinstance(t, str) for t in found.values()):
            self._faults.add("templates", "be texts by name")
            return {}
        for name, text in found.items():
            if len(text.encode()) > TEMPLATE_BYTES_MAX:
                self._faults.add(f"templates.{name}", f"be at most {TEMPLATE_BYTES_MAX} bytes")
        return found

    def _check_reach(self, route: Route, path: str) -> None:
        """A route behind a sibling that takes all of what it would is never asked."""
        for index, child in enumerate(route.routes):
            place = f"{path}.routes[{index}]"
            for before, other in enumerate(route.routes[:index]):
                if not other.goes_on and set(other.matchers) <= set(child.matchers):
                    message = (
                        f"be reachable: {path}.routes[{before}] takes all of it; put it before"
                    )
                    self._faults.add(place, message)
                    break
            self._check_reach(child, place)
