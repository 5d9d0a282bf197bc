"""Which alerts belong together; the same log gives the same incidents, whoever reads it."""

import dataclasses
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.group import GOALS, STORMS, measured, with_settings
from cli.commands.group import alerts_of, graph_of, group
from cli.problem import Problem
from mesh.selector import parse
from services.incidents.correlator import Settings, State, close, correlate, merge, move
from services.incidents.correlator.bursts import Graph
from services.incidents.correlator.correlate import forget
from services.incidents.correlator.rules import Rule
from services.incidents.model.change import (
    BackgroundNoise,
    Change,
    Joined,
    JoinReason,
    Kind,
    MemberEnded,
    Placement,
    Severity,
)

SETTINGS = Settings()
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
START = 1_700_000_000_000


def change(name: str, at_ms: int, **labels: str) -> Change:
    """An alert of this name that begins; its labels are its fingerprint."""
    pairs = {"alertname": name, **labels}
    return Change(
        member_id=f"{name}-{sorted(labels.items())}-{at_ms}",
        kind=Kind.ALERT,
        fingerprint=json.dumps(pairs, sort_keys=True),
        labels=pairs,
        severity=Severity.WARNING,
        start_ms=START + at_ms,
    )


class Correlating:
    """A correlator that is told one change after the other."""

    def __init__(self, *rules: Rule, graph: Graph | None = None) -> None:
        self.state, self.rules, self.graph = State(), rules, graph or {}

    def place(self, change: Change) -> Placement | None:
        now_ms = change.end_ms or change.start_ms
        return correlate(self.state, change, self.graph, self.rules, now_ms, SETTINGS)

    def joined(self, change: Change) -> Joined:
        placed = self.place(change)
        assert isinstance(placed, Joined)
        return placed


def ended(change: Change, at_ms: int) -> Change:
    return dataclasses.replace(change, end_ms=START + at_ms)


def test_what_comes_together_is_one_incident() -> None:
    correlating = Correlating()
    names = {correlating.joined(change(name, 0, service=name)).incident_id for name in "abc"}
    assert len(names) == 1


def test_a_long_pause_ends_a_burst() -> None:
    correlating = Correlating()
    first = [correlating.joined(change(name, 0, service=name)) for name in "ab"][-1]
    within = correlating.joined(change("c", 2 * MINUTE, service="c"))
    after = correlating.joined(change("d", 20 * MINUTE, service="d"))
    assert within.incident_id == first.incident_id
    assert after.incident_id != first.incident_id


def test_a_lone_alert_elsewhere_and_out_of_step_stands_by_itself() -> None:
    correlating = Correlating()
    first = [correlating.joined(change(name, 0, service=name)) for name in "ab"][-1]
    lone = correlating.joined(change("c", 29 * SECOND, service="c"))
    same_service = correlating.joined(change("d", 40 * SECOND, service="a"))
    assert lone.reason is JoinReason.FIRST
    assert lone.incident_id != first.incident_id
    assert same_service.incident_id == first.incident_id


def test_environments_do_not_meet() -> None:
    correlating = Correlating()
    found = {correlating.joined(change(e, 0, service="a", env=e)).incident_id for e in "xy"}
    assert len(found) == 2


def test_services_that_call_each_other_may_wait_longer() -> None:
    late = SETTINGS.pause_min_ms + 20 * SECOND
    for graph, together in (({"c": {"a"}}, True), ({}, False)):
        correlating = Correlating(graph=graph)
        first = [correlating.joined(change(name, 0, service=name)) for name in "ab"][-1]
        correlating.joined(change("e", late, service="e"))
        second = correlating.joined(change("c", late, service="c"))
        assert (second.incident_id == first.incident_id) is together
        assert (second.reason is JoinReason.CALL) is together


def test_what_fires_by_itself_all_the_time_opens_nothing() -> None:
    correlating = Correlating()
    placed: list[Placement | None] = []
    for n in range(60):
        chronic = change("chronic", n * 15 * MINUTE, service="a")
        placed.append(correlating.place(chronic))
        correlating.place(ended(chronic, n * 15 * MINUTE + SECOND))
        correlating.state.held_by_fingerprint.clear()
    assert isinstance(placed[0], Joined)
    assert isinstance(placed[-1], BackgroundNoise)


def test_a_rule_wins_over_all_else() -> None:
    rule = Rule(name="r", selector=parse('{team="db"}'), group_by=("host",), window_ms=HOUR)
    correlating = Correlating(rule)
    one, other = (correlating.joined(change("x", 0, team="db", host=h)) for h in "ab")
    late = correlating.joined(change("y", 40 * MINUTE, team="db", host="a"))
    too_late = correlating.joined(change("z", 101 * MINUTE, team="db", host="a"))
    assert one.incident_id != other.incident_id
    assert (late.incident_id, late.reason) == (one.incident_id, JoinReason.RULE)
    assert too_late.incident_id != one.incident_id


def test_what_a_rule_is_never_with_stays_out() -> None:
    rule = Rule(name="r", selector=parse(""), never_with=parse('{severity="info"}'))
    correlating = Correlating(rule)
    one = correlating.joined(change("x", 0))
    other = correlating.joined(change("y", 0, severity="info"))
    assert one.incident_id != other.incident_id


def test_the_same_alert_returns_to_its_incident_until_it_is_over_for_long() -> None:
    correlating = Correlating()
    first = change("a", 0, service="a")
    incident_id = correlating.joined(first).incident_id
    assert correlating.place(ended(first, MINUTE)) == MemberEnded(
        member_id=first.member_id, incident_id=incident_id, end_ms=START + MINUTE
    )
    again = correlating.joined(change("a", HOUR, service="a"))
    assert (again.incident_id, again.reason) == (incident_id, JoinReason.FINGERPRINT)
    close(correlating.state, incident_id, START + 2 * HOUR)
    assert correlating.joined(change("a", 3 * HOUR, service="a")).incident_id != incident_id


def test_nothing_new_enters_what_a_person_resolved() -> None:
    correlating = Correlating()
    incident_id = correlating.joined(change("a", 0, service="a")).incident_id
    close(correlating.state, incident_id, 0)
    for name in "ab":
        assert correlating.joined(change(name, SECOND, service="a")).incident_id != incident_id


def test_memory_follows_what_is_open() -> None:
    correlating = Correlating()
    over, still = (correlating.joined(change("x", 0, env=name)) for name in "ab")
    close(correlating.state, over.incident_id, START + HOUR)
    forget(correlating.state, START + HOUR, SETTINGS)
    assert [*correlating.state.held_by_fingerprint] == [still.change.fingerprint]
    forget(correlating.state, START + SETTINGS.memory_ms + 2 * MINUTE, SETTINGS)
    assert not correlating.state.background.by_fingerprint
    assert [*correlating.state.held_by_fingerprint] == [still.change.fingerprint]


def test_merged_and_split_incidents_take_what_follows() -> None:
    correlating = Correlating()
    one, other = (correlating.joined(change("x", 0, service="a", env=e)) for e in "ab")
    merge(correlating.state, other.incident_id, one.incident_id)
    again = correlating.joined(change("x", HOUR, service="a", env="b"))
    assert again.incident_id == one.incident_id
    move(correlating.state, [again.change.fingerprint], one.incident_id, "apart")
    assert correlating.joined(change("x", 2 * HOUR, service="a", env="b")).incident_id == "apart"


def test_what_is_told_twice_is_placed_once() -> None:
    correlating = Correlating()
    assert correlating.place(change("a", 0)) is not None
    assert correlating.place(change("a", 0)) is None
    assert correlating.place(ended(change("b", 0), MINUTE)) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 8), st.integers(-30, 90), st.booleans()),
        max_size=60,
    )
)
def test_the_same_log_gives_the_same_bytes(log: list[tuple[int, int, int, bool]]) -> None:
    def run() -> tuple[str, str]:
        correlating, at_ms, told = Correlating(), 0, []
        for name, service, step_s, is_end in log:
            at_ms = max(0, at_ms + step_s * SECOND)
            one = change(str(name), at_ms, service=str(service))
            told.append(correlating.place(ended(one, at_ms) if is_end else one))
        return repr(told), repr(correlating.state)

    assert run() == run()


@pytest.mark.skipif(not STORMS.is_dir(), reason="the recorded storms are not here")
def test_recorded_storms_are_grouped_as_well_as_promised(tmp_path: Path) -> None:
    found = measured(STORMS, with_settings(Settings(reopen_ms=0)))
    for kind, (least, noise) in GOALS.items():
        assert found[kind]["ARI"] >= least
        assert found[kind]["noise"] <= noise
    (tmp_path / "storms").mkdir()
    for file in (STORMS / "storms").glob("onlineboutique-*-0.jsonl.gz"):
        (tmp_path / "storms" / file.name).symlink_to(file.resolve())
    for out in ("a", "b"):
        group(storms=tmp_path, out=tmp_path / out)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_storm_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "storms").mkdir()
    with pytest.raises(Problem, match="storms"):
        group(storms=tmp_path, out=tmp_path / "out")
    file = tmp_path / "storms" / "x-one-0.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"id": 1}\n'))
    with pytest.raises(Problem, match="x-one-0"):
        list(alerts_of(file))
    assert graph_of(tmp_path / "none.json") == {}
