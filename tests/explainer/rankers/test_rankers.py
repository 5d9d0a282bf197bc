"""Rankers of one kind of evidence, and their router."""

from dataclasses import replace

import numpy as np
import pytest

from services.explainer.model.case import Subject, Symptom
from services.explainer.model.ranking import Reason
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.confidence import ENOUGH, MIDDLE, SUREST, standing
from services.explainer.rankers.earlier import EarlierCallee
from services.explainer.rankers.hops import SlowHops
from services.explainer.rankers.largest import LargestDeviation
from services.explainer.rankers.measures import Measure, measure_of, measure_of_series, symptom_of
from services.explainer.rankers.missing import MissingCalls
from services.explainer.rankers.omitted import OmittedCalls
from services.explainer.rankers.ranking import REASONS, ranking
from services.explainer.rankers.resource import ResourceShortage
from services.explainer.rankers.router import merge, rank, symptoms_of
from tests.explainer.rankers.cases import OBSERVED, USUAL, alert, case, latencies, series, window


def test_cpu_that_rises_is_blamed_and_cpu_that_falls_is_not() -> None:
    parts = [series("cart", "cpu_usage", observed=30.0), series("db", "cpu_usage", observed=0.1)]
    found = ResourceShortage().rank(case(*parts))
    assert [s.entity for s in found.suspects if s.score > 1.0] == ["cart"]


def test_a_slow_hop_is_charged_to_the_service_called() -> None:
    waits = {"cart": 50.0, "ads": 10.0, "pay": 10.0}
    parts = [
        series(callee, "client_latency_p50", observed=wait, labels={"peer": "front"})
        for callee, wait in waits.items()
    ]
    assert SlowHops().rank(case(*parts)).suspects[0].entity == "cart"


def test_a_caller_slow_to_everyone_charges_nobody() -> None:
    parts = [
        series(callee, "client_latency_p50", observed=50.0, labels={"peer": "front"})
        for callee in ("cart", "ads", "pay")
    ]
    assert SlowHops().rank(case(*parts)).abstained


def test_missing_calls_are_charged_to_the_caller_of_those_who_miss_them() -> None:
    """`front` is called as before, but everything it calls hears less."""
    parts = [
        series(service, "requests", observed=observed)
        for service, observed in (("front", 10.0), ("cart", 1.0), ("ads", 1.0), ("pay", 2.0))
    ]
    assert MissingCalls().rank(case(*parts)).suspects[0].entity == "front"


def test_less_load_for_all_is_nobodys_fault() -> None:
    parts = [series(s, "requests", observed=1.0) for s in ("front", "cart", "ads", "pay", "db")]
    assert MissingCalls().rank(case(*parts)).abstained


def answered(callee: str, caller: str, usual: float, observed: float) -> list[SeriesWindow]:
    """How often `callee` answered `caller` per minute."""
    labels = {"operation": "get", "span_kind": "server", "peer": caller}
    return [window(callee, "span_count", [usual] * USUAL + [observed] * OBSERVED, labels)]


def test_calls_omitted_per_request_are_charged_to_who_handles_the_request() -> None:
    parts = [*answered("front", "web", 50, 50), *answered("cart", "front", 100, 20)]
    found = OmittedCalls().rank(case(*parts))
    assert (found.suspects[0].entity, found.abstained) == ("front", False)
    assert found.suspects[0].reasons[0].evidence_id == parts[1].evidence_id


def test_calls_omitted_are_told_by_a_series_that_is_evidence() -> None:
    hidden, shown = (
        window("cart", "span_count", [50] * USUAL + [10] * OBSERVED, labels)
        for labels in (
            {"operation": operation, "span_kind": "server", "peer": "front"}
            for operation in ("get", "set")
        )
    )
    parts = [*answered("front", "web", 50, 50), replace(hidden, evidence_id=""), shown]
    found = OmittedCalls().rank(case(*parts))
    assert found.suspects[0].reasons[0].evidence_id == shown.evidence_id


def test_calls_omitted_because_a_callee_omits_them_are_not_the_callers() -> None:
    parts = [
        *answered("front", "web", 50, 50),
        *answered("cart", "front", 50, 30),
        *answered("db", "cart", 500, 10),
    ]
    assert OmittedCalls().rank(case(*parts)).suspects[0].entity == "cart"


def test_less_load_is_not_an_omission() -> None:
    parts = [*answered("front", "web", 50, 5), *answered("cart", "front", 100, 10)]
    assert OmittedCalls().rank(case(*parts)).abstained


def test_the_largest_deviation_looks_both_ways() -> None:
    parts = [series("cart", "queue", observed=1.0), series("db", "queue", observed=12.0)]
    assert LargestDeviation().rank(case(*parts)).suspects[0].entity == "cart"


def test_evidence_is_routed_by_the_symptom() -> None:
    """Errors rise in one place and latency in another: the alert decides which one matters."""
    parts = [
        *latencies({"cart": 4.0}),
        *(series(s, "errors", observed=60.0 if s == "pay" else 10.0) for s in ("pay", "cart")),
    ]
    slow = case(*parts, subject=alert("request_latency", Symptom.LATENCY))
    broken = case(*parts, subject=alert("errors", Symptom.ERRORS))
    assert rank(slow).suspects[0].entity == "cart"
    assert rank(broken).suspects[0].entity == "pay"


def test_a_fault_that_shows_in_another_kind_of_evidence_is_found() -> None:
    parts = [*latencies({}), series("pay", "errors", observed=90.0)]
    found = rank(case(*parts, subject=alert("request_latency", Symptom.LATENCY)))
    assert found.suspects[0].entity == "pay"


def test_an_alert_on_a_metric_that_tells_nothing_goes_by_the_largest_deviation() -> None:
    subject = Subject(id="a1", metric="lava_level", service="cart")
    parts = [series("cart", "lava_level", observed=90.0), series("db", "lava_level")]
    found = rank(case(*parts, subject=subject))
    assert (found.suspects[0].entity, found.abstained) == ("cart", False)


def test_memory_is_looked_at_when_memory_hurts() -> None:
    parts = [series("cart", "memory_bytes", observed=90.0), series("db", "memory_bytes")]
    found = rank(case(*parts, subject=alert("memory_bytes", Symptom.RESOURCE)))
    assert (found.suspects[0].entity, found.abstained) == ("cart", False)


def test_an_absent_service_is_found_by_its_traffic() -> None:
    parts = [series("cart", "requests", observed=0.0), series("db", "requests")]
    found = rank(case(*parts, subject=alert("requests", Symptom.ABSENCE, service="cart")))
    assert found.suspects[0].entity == "cart"


def test_without_a_metric_the_series_of_the_whole_tell_the_symptom() -> None:
    whole = series("", "latency_p50", observed=50.0)
    assert symptoms_of(case(whole)) == {Symptom.LATENCY}
    assert symptoms_of(case()) == frozenset()


def test_who_shows_the_symptom_is_suspect_when_nothing_explains_it() -> None:
    found = rank(case(*latencies({}), subject=alert("request_latency", Symptom.LATENCY)))
    assert found.abstained
    assert "front" in [suspect.entity for suspect in found.suspects]


@pytest.mark.parametrize("shows", ["cart", "db", "pay"])
def test_of_those_that_look_alike_who_shows_the_symptom_is_first(shows: str) -> None:
    """Whatever their noise and names; somebody far more suspect still goes before it."""
    alike = [series(each, "cpu_usage", observed=90.0) for each in ("ads", "cart", "db", "pay")]
    about = alert("cpu_usage", Symptom.RESOURCE, service=shows)
    assert rank(case(*alike, subject=about)).suspects[0].entity == shows
    worse = [each for each in alike if each.service != shows]
    mild = series(shows, "cpu_usage", observed=16.0)
    assert rank(case(mild, *worse, subject=about)).suspects[0].entity != shows


@pytest.mark.parametrize(
    ("labels", "is_named"),
    [
        ({"alertname": "Watchdog", "severity": "none"}, False),
        ({"alertname": "Slow", "cluster": "elsewhere"}, False),
        ({"alertname": "Slow", "cluster": "east"}, True),
        ({}, True),
    ],
)
def test_nobody_is_named_whom_only_the_time_ties_to_the_alert(
    labels: dict[str, str], is_named: bool
) -> None:
    moved = series("cart", "cpu_usage", observed=90.0, labels={"cluster": "east"})
    found = rank(case(moved, subject=Subject(id="a", labels=labels, metric="")))
    assert found.abstained != is_named
    assert ("by its time alone" in found.reason) != is_named


@pytest.mark.parametrize("seed", range(8))
def test_what_every_second_stretch_of_the_baseline_reaches_is_usual(seed: int) -> None:
    """Rare events, never two in a row before: a pair of them is no fault yet."""
    events = np.random.default_rng(seed).random(USUAL) < 0.15
    moved = window("cart", "http_errors", [*events.astype(float), 0.0, 1.0, 1.0, 0.0, 0.0])
    assert rank(case(moved)).abstained
    clearly = window("cart", "http_errors", [*events.astype(float), 0.0, 9.0, 9.0, 9.0, 0.0])
    assert not rank(case(clearly)).abstained


def test_nobody_is_named_when_too_many_look_alike() -> None:
    found = rank(case(*(series(f"host-{n}", "cpu_usage", observed=90.0) for n in range(17))))
    assert found.abstained
    assert found.reason.startswith("too many services moved alike")
    assert len(found.suspects) == 17


def test_what_two_rankers_say_in_the_same_words_is_told_once() -> None:
    weak, strong, other = (
        Reason(text=text, evidence_id="E1", score=score)
        for text, score in (("it rose", 1.0), ("it rose", 3.0), ("it fell", 2.0))
    )
    said = [ranking({"db": 5.0}, {"db": [each]}, ranker="r") for each in (weak, other, strong)]
    (suspect,) = merge([(each, 1.0) for each in said]).suspects
    assert suspect.reasons == (strong, other)


def test_reasons_that_cite_no_evidence_take_no_place_of_those_that_do() -> None:
    bare = [Reason(text=f"r{n}", evidence_id="", score=9.0 + n) for n in range(2 * REASONS)]
    cited = Reason(text="it rose", evidence_id="E1", score=1.0)
    (suspect,) = ranking({"db": 5.0}, {"db": [*bare, cited]}, ranker="r").suspects
    assert suspect.reasons == (cited, *bare[:-REASONS:-1])


def test_confidence_splits_between_suspects_that_cannot_be_told_apart() -> None:
    parts = [series(s, "cpu_usage", observed=60.0) for s in ("cart", "db")]
    found = rank(case(*parts))
    assert not found.abstained
    assert found.confidence == pytest.approx(0.5, abs=0.1)


def test_nobody_is_named_up_to_the_middle_and_somebody_soon_after() -> None:
    assert standing([MIDDLE]) < ENOUGH < standing([MIDDLE + 0.1])


def test_nobody_is_ever_certain() -> None:
    assert standing([1e9]) == SUREST


@pytest.mark.parametrize(
    ("metric", "measure"),
    [
        ("http_request_duration_seconds", Measure.SERVER_LATENCY),
        ("PodClientLatencyP90(s)", Measure.CLIENT_LATENCY),
        ("self_time_p50", Measure.SELF_TIME),
        ("container_cpu_usage_seconds_total", Measure.CPU),
        ("process_resident_memory_bytes", Measure.MEMORY),
        ("http_requests_total", Measure.TRAFFIC),
        ("grpc_client_requests", Measure.TRAFFIC),
        ("node_load1", Measure.HOST),
        ("log_errors", Measure.ERRORS),
        ("up", Measure.AVAILABILITY),
        ("lava_level", Measure.OTHER),
    ],
)
def test_a_metric_is_read_by_its_words(metric: str, measure: Measure) -> None:
    assert measure_of(metric) is measure


def test_requests_under_a_server_error_code_are_errors() -> None:
    counted = series("cart", "http_requests_total", labels={"code": "503"})
    assert measure_of_series(counted) is Measure.ERRORS
    assert symptom_of("http_requests_total") is Symptom.TRAFFIC


def since(service: str, metric: str, at: int, *, to: float = 50.0) -> SeriesWindow:
    """A series that goes from 10 to `to` with the observed sample of that place."""
    noise = np.random.default_rng([at, *metric.encode()]).standard_normal(USUAL + OBSERVED)
    values = 10.0 + 0.5 * noise
    values[USUAL + at :] += to - 10.0
    return window(service, metric, values)


def test_callee_that_was_slow_before_the_errors_began_casts_a_doubt_on_its_caller() -> None:
    parts = [since("cart", "errors", 2), since("db", "query_seconds_latency", 0)]
    found = rank(case(*parts, subject=alert("errors", Symptom.ERRORS, "cart")))
    assert [each.entity for each in found.suspects] == ["cart", "db"]
    assert found.confidence < 0.85
    assert found.suspects[1].confidence > 0.1


@pytest.mark.parametrize(
    "other",
    [
        since("db", "query_seconds_latency", 3),
        since("db", "query_seconds_latency", 0, to=14.0),
        since("front", "query_seconds_latency", 0),
        since("db", "cpu_usage", 0, to=1.0),
    ],
    ids=["later", "not far", "its caller", "the good way"],
)
def test_who_moved_later_or_little_or_calls_it_is_not_an_earlier_callee(
    other: SeriesWindow,
) -> None:
    parts = [since("cart", "errors", 2), other]
    given = case(*parts, subject=alert("errors", Symptom.ERRORS, "cart"))
    assert EarlierCallee().rank(given).suspects == ()
    found = rank(given)
    assert (found.suspects[0].entity, found.confidence > 0.8) == ("cart", True)
