"""Who is told of what: the tree, its text, its faults, inhibition and time intervals."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.notifier.routing.document import read
from services.notifier.routing.tree import Routing
from tests.notifier import amtool, recorded

BASE = """
receivers:
- name: day
- name: night
- name: boss
time_intervals:
- name: nights
  time_intervals:
  - times: [{start_time: '22:00', end_time: '24:00'}, {start_time: '00:00', end_time: '06:00'}]
    location: Europe/Berlin
- name: month-end
  time_intervals: [{days_of_month: ['-2:-1'], months: ['february']}]
"""


def routing(text: str) -> Routing:
    """The routing of a text without faults."""
    found, faults = read(text)
    assert faults.found == []
    return found


def faults(text: str) -> dict[str, str]:
    """What is wrong with a text, by place."""
    return dict(read(text)[1].found)


def test_receivers_equal_those_that_amtool_named() -> None:
    for case in recorded.cases():
        tree, _ = read(json.dumps(amtool.config(case["route"])))
        for labels, receivers in case["asked"]:
            ours = [match.route.receiver for match in tree.matches(labels)]
            assert ours == receivers, (case["route"], labels)


def test_path_names_the_routes_from_the_root() -> None:
    tree = routing(
        BASE + "route: {receiver: day, routes: [{matchers: ['team=\"db\"'], receiver: night}]}"
    )
    (match,) = tree.matches({"team": "db"})
    assert match.path == ("{}", '{team="db"}')


def test_route_of_any_alert_matches_the_labels_of_one_member() -> None:
    text = BASE + "route: {receiver: day, routes: [{matchers: ['a=\"1\"'], receiver: night%s}]}"
    members = [{"a": "2"}, {"a": "1"}]
    plain, any_alert = routing(text % ""), routing(text % ", any_alert: true")
    assert [m.route.receiver for m in plain.matches({}, members)] == ["day"]
    assert [m.route.receiver for m in any_alert.matches({}, members)] == ["night"]


@pytest.mark.parametrize(
    ("text", "place", "should"),
    [
        ("route: {receiver: ghost}", "route.receiver", "name one of receivers; 'ghost' is none"),
        (
            "route: {receiver: day, routes: [{receiver: night}, {receiver: boss}]}",
            "route.routes[1]",
            "be reachable: route.routes[0] takes all of it; put it before",
        ),
        (
            "route: {receiver: day, escalate: [{after: 10m, receiver: nobody}]}",
            "route.escalate[0].receiver",
            "name one of receivers; 'nobody' is none",
        ),
        ("route: {receiver: day, group_wait: soon}", "route.group_wait", "be a duration such as"),
        ("route: {receiver: day, mathcers: []}", "route", "unknown field `mathcers`"),
        (
            "route: {receiver: day, routes: [{matchers: ['a=~\"(\"']}]}",
            "route.routes[0].matchers",
            "bad regular expression",
        ),
        (
            "route: {receiver: day, routes: [{mute_time_intervals: [x]}]}",
            "route.routes[0].mute_time_intervals[0]",
            "name one of time_intervals; 'x' is none",
        ),
        ("route: {receiver: day}\nfallback: ghost", "fallback", "name one of receivers"),
        ("{}", "", "be YAML"),
        ("route: &a {receiver: day, routes: [*a]}", "", "an anchor may refer to itself"),
    ],
)
def test_faults_name_their_place_and_what_to_change(text: str, place: str, should: str) -> None:
    assert should in faults(BASE + text)[place]


def test_text_of_routes_in_a_circle_or_in_excess_is_refused_at_once() -> None:
    bomb = "\n".join(
        f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" if n else "x0: &x0 [1]" for n in range(12)
    )
    assert "entries" in faults(bomb)[""]
    assert "bytes" in faults("a" * (1024 * 1024 + 1))[""]
    assert "deep" in faults("a: " + "[" * 80 + "]" * 80)[""]


def test_secret_that_is_written_out_is_refused_and_not_repeated() -> None:
    text = """
route: {receiver: a}
receivers:
- name: a
  webhook_configs: [{url: 'https://user:pa55@example.com/', secret: pa55w0rd}]
  slack_configs: [{token: xoxb-pa55, channel: x}, {token: env:SENSUS_POSTGRES_DSN, channel: y}]
"""
    found = faults(text)
    assert set(found) == {
        "receivers[0].webhook_configs[0].secret",
        "receivers[0].webhook_configs[0].url",
        "receivers[0].slack_configs[0].token",
        "receivers[0].slack_configs[1].token",
    }
    assert "pa55" not in str(found)


@pytest.mark.parametrize(
    ("time", "held"),
    [
        (datetime(2026, 11, 29, 21, 30, tzinfo=UTC), "time interval nights mutes it"),
        (datetime(2026, 11, 29, 4, 59, tzinfo=UTC), "time interval nights mutes it"),
        (datetime(2026, 11, 29, 5, 0, tzinfo=UTC), ""),
        (datetime(2026, 7, 1, 20, 0, tzinfo=UTC), "time interval nights mutes it"),
        (datetime(2026, 11, 29, 12, 0, tzinfo=UTC), ""),
    ],
)
def test_time_interval_mutes_by_the_clock_of_its_zone(time: datetime, held: str) -> None:
    tree = routing(
        BASE + "route: {receiver: day, routes: "
        "[{matchers: ['a=\"1\"'], receiver: night, mute_time_intervals: [nights]}]}"
    )
    (match,) = tree.matches({"a": "1"})
    assert tree.held_by(match.route, time) == held


def test_days_from_the_end_of_a_month_follow_its_length() -> None:
    tree = routing(
        BASE + "route: {receiver: day, routes: "
        "[{matchers: ['a=\"1\"'], receiver: night, active_time_intervals: [month-end]}]}"
    )
    (match,) = tree.matches({"a": "1"})

    def held(day: int, year: int) -> bool:
        return bool(tree.held_by(match.route, datetime(year, 2, day, 12, tzinfo=UTC)))

    assert [held(day, 2026) for day in (26, 27, 28)] == [True, False, False]
    assert [held(day, 2028) for day in (27, 28, 29)] == [True, False, False]


@pytest.mark.parametrize(
    ("source", "target", "inhibited"),
    [
        ({"severity": "critical", "dc": "a"}, {"severity": "warning", "dc": "a"}, True),
        ({"severity": "critical", "dc": "a"}, {"severity": "warning", "dc": "b"}, False),
        ({"severity": "critical"}, {"severity": "warning", "dc": ""}, True),
        ({"severity": "critical", "dc": "a"}, {"severity": "critical", "dc": "a"}, False),
    ],
)
def test_open_source_holds_a_target_back_when_equal_labels_are(
    source: dict[str, str], target: dict[str, str], inhibited: bool
) -> None:
    tree = routing(
        BASE
        + """
route: {receiver: day}
inhibit_rules:
- {source_match: {severity: critical}, target_match_re: {severity: 'warning|info'}, equal: [dc]}
"""
    )
    assert tree.inhibitor(target, [("i1", source)]) == ("i1" if inhibited else "")
    # what is asked for by labels finds every source that inhibits
    looked_up = [each for each in tree.sources_of(target) if each.items() <= source.items()]
    assert looked_up or not inhibited


def test_target_that_is_a_source_too_is_not_held_back_by_its_like() -> None:
    tree = routing(
        BASE
        + """
route: {receiver: day}
inhibit_rules: [{source_matchers: ['a="1"'], target_matchers: ['b="1"'], equal: []}]
"""
    )
    both: dict[str, Any] = {"a": "1", "b": "1"}
    assert tree.inhibitor(both, [("i1", both)]) == ""
    assert tree.inhibitor(both, [("i1", {"a": "1"})]) == "i1"
