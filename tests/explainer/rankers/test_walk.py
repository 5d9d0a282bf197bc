"""The walk from the symptom to its cause."""

import pytest

from services.explainer.model.case import ServiceGraph, Symptom
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.walk import UNREACHABLE, GraphWalk, coverage
from tests.explainer.rankers.cases import SHOP, alert, case, latencies, series

WALK = GraphWalk(measures=frozenset({Measure.SERVER_LATENCY}))


def test_the_deepest_slow_service_is_first() -> None:
    slow = latencies({"db": 4.0, "cart": 3.5, "pay": 3.0, "front": 3.0})
    found = WALK.rank(case(*slow, subject=alert("request_latency", Symptom.LATENCY)))
    assert found.suspects[0].entity == "db"
    assert not found.abstained
    assert found.suspects[0].reasons[0].evidence_id == "db|request_latency"


def test_a_service_whose_callees_are_well_is_itself_to_blame() -> None:
    slow = latencies({"front": 4.0})
    assert WALK.rank(case(*slow)).suspects[0].entity == "front"


def test_who_explains_more_of_the_picture_is_more_suspect() -> None:
    """`ads` is as slow as `db`, but only `front` depends on it."""
    slow = latencies({"db": 4.0, "ads": 4.0, "cart": 3.0, "front": 3.0})
    first, second = WALK.rank(case(*slow)).suspects[:2]
    assert (first.entity, second.entity) == ("db", "ads")
    assert coverage("db", {"db": 1.0, "cart": 1.0, "ads": 2.0}, SHOP) == 0.5


def test_becoming_faster_is_not_suspect() -> None:
    assert WALK.rank(case(*latencies({"db": 0.2}))).abstained


def test_what_the_symptom_does_not_depend_on_comes_last() -> None:
    stranger = series("batch", "request_latency", observed=90.0)
    subject = alert("request_latency", Symptom.LATENCY)
    found = WALK.rank(case(stranger, *latencies({"db": 3.0, "front": 3.0}), subject=subject))
    scores = {suspect.entity: suspect.score for suspect in found.suspects}
    assert found.suspects[0].entity == "db"
    assert scores["batch"] < UNREACHABLE * 5


def test_a_symptom_the_graph_does_not_know_may_come_from_anywhere() -> None:
    subject = alert("request_latency", Symptom.LATENCY, service="elsewhere")
    found = WALK.rank(case(*latencies({"db": 4.0, "cart": 3.0}), subject=subject))
    assert (found.suspects[0].entity, found.abstained) == ("db", False)


def test_a_cycle_of_calls_ends() -> None:
    loop = ServiceGraph(edges=frozenset({("a", "b"), ("b", "a"), ("a", "a")}))
    parts = [series("a", "latency", observed=30.0), series("b", "latency", observed=50.0)]
    assert WALK.rank(case(*parts, graph=loop)).suspects[0].entity == "b"
    assert loop.distances("a") == {"a": 0, "b": 1}


@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_a_fall_of_availability_leads_to_its_cause(unit: float) -> None:
    parts = [
        series(service, "availability", usual=0.99 * unit, observed=observed * unit, seed=1)
        for service, observed in (("front", 0.9), ("cart", 0.85), ("db", 0.7), ("ads", 0.99))
    ]
    walk = GraphWalk(measures=frozenset({Measure.AVAILABILITY}))
    assert walk.rank(case(*parts)).suspects[0].entity == "db"
