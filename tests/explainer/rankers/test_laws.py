"""Laws that hold for every ranker."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from services.explainer.model.case import Case, Subject, Symptom
from services.explainer.model.ranking import Ranking
from services.explainer.model.windows import SeriesWindow, Values
from services.explainer.rankers.changes import SuspectChange
from services.explainer.rankers.counts import RareEvents
from services.explainer.rankers.earlier import EarlierCallee
from services.explainer.rankers.hops import SlowHops
from services.explainer.rankers.largest import LargestDeviation
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.missing import MissingCalls
from services.explainer.rankers.omitted import OmittedCalls
from services.explainer.rankers.protocol import Ranker
from services.explainer.rankers.resource import ResourceShortage
from services.explainer.rankers.router import rank
from services.explainer.rankers.timelost import TimeLost
from services.explainer.rankers.walk import GraphWalk
from tests.explainer.rankers.cases import (
    SHOP,
    alert,
    case,
    counted,
    latencies,
    series,
    span,
    window,
)


class Router:
    """The router as a ranker."""

    name = "router"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        return rank(case)


RANKERS: list[Ranker] = [
    GraphWalk(measures=frozenset({Measure.SERVER_LATENCY})),
    GraphWalk(measures=frozenset({Measure.AVAILABILITY})),
    EarlierCallee(),
    LargestDeviation(),
    MissingCalls(),
    OmittedCalls(),
    RareEvents(),
    ResourceShortage(),
    Router(),
    SlowHops(),
    SuspectChange(),
    TimeLost(),
]
everyone = pytest.mark.parametrize("ranker", RANKERS, ids=lambda ranker: ranker.name)


def everything() -> Case:
    """A case with every kind of series."""
    parts = [
        *latencies({"db": 4.0, "cart": 3.0, "front": 2.0}),
        counted("db", "log_errors", usual=0, observed=9),
        series("cart", "cpu_usage", observed=90.0),
        series("db", "requests", observed=1.0),
        series("db", "availability", usual=99.0, observed=60.0),
        series("db", "client_latency_p50", observed=80.0, labels={"peer": "cart"}),
        *span("db", "get", "client", peer="cart", own=(10.0, 90.0)),
        *span("db", "get", "server", peer="cart", whole=(50.0, 60.0)),
        *span("front", "HTTP GET", "client", own=(10.0, 70.0)),
        *span("ads", "list", "server", peer="front"),
        *span("cart", "add", "internal", own=(10.0, 40.0)),
    ]
    return case(*parts, subject=alert("request_latency", Symptom.LATENCY))


def revalued(window: SeriesWindow, values: Values) -> SeriesWindow:
    """The same series with other values, which it counts if it counted before."""
    return replace(window, values=values, events=None if window.events is None else values)


@everyone
def test_an_empty_case_abstains(ranker: Ranker) -> None:
    found = ranker.rank(Case(subject=Subject(id="a1")))
    assert (found.suspects, found.confidence, found.abstained) == ((), 0.0, True)


@everyone
def test_the_order_of_the_evidence_does_not_matter(ranker: Ranker) -> None:
    whole = everything()
    dice = np.random.default_rng(0)
    shuffled = tuple(whole.series[i] for i in dice.permutation(len(whole.series)))
    assert ranker.rank(replace(whole, series=shuffled)) == ranker.rank(whole)


@everyone
def test_another_unit_changes_nothing(ranker: Ranker) -> None:
    whole = everything()
    told = ranker.rank(replace(whole, series=tuple(map(_in_other_units, whole.series))))
    plain = ranker.rank(whole)
    assert [s.entity for s in told.suspects] == [s.entity for s in plain.suspects]
    assert [s.score for s in told.suspects] == pytest.approx([s.score for s in plain.suspects])


def _in_other_units(each: SeriesWindow) -> SeriesWindow:
    factor = 0.01 if each.metric == "availability" else 1.0 if "count" in each.metric else 1024.0
    return replace(each, values=each.values * factor)


@everyone
@pytest.mark.parametrize("value", [0.0, 7.0, -3.0, np.nan, np.inf])
def test_constant_and_missing_values_name_nobody(ranker: Ranker, value: float) -> None:
    whole = everything()
    flat = tuple(revalued(w, np.full_like(w.values, value)) for w in whole.series)
    found = ranker.rank(replace(whole, series=flat))
    assert found.abstained
    assert all(suspect.score <= 0.1 for suspect in found.suspects)


@everyone
def test_holes_are_harmless(ranker: Ranker) -> None:
    whole = everything()
    dice = np.random.default_rng(0)
    torn = tuple(
        replace(w, values=np.where(dice.random(w.values.size) < 0.3, np.nan, w.values))
        for w in whole.series
    )
    assert all(np.isfinite(s.score) for s in ranker.rank(replace(whole, series=torn)).suspects)


@everyone
def test_confidence_is_a_probability_and_falls_with_the_rank(ranker: Ranker) -> None:
    found = ranker.rank(everything())
    told = [suspect.confidence for suspect in found.suspects]
    assert told == sorted(told, reverse=True)
    assert 0.0 <= sum(told) <= 1.0 + 1e-9
    assert [s.rank for s in found.suspects] == list(range(1, len(told) + 1))


def test_noise_alone_names_nobody() -> None:
    named = 0
    for seed in range(30):
        parts = [
            series(service, metric, seed=seed)
            for service in ("front", "cart", "ads", "pay", "db")
            for metric in ("request_latency", "cpu_usage", "requests", "error_rate")
        ]
        named += not rank(case(*parts, subject=alert("request_latency", Symptom.LATENCY))).abstained
    assert named <= 1


def test_ranks_are_the_same_bytes_in_every_process() -> None:
    """Sets and dicts of strings are ordered by a hash that differs from process to process."""
    script = (
        "from tests.explainer.rankers.test_laws import everything, rank; print(rank(everything()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.getcwd()},
        capture_output=True,
        check=True,
    )
    assert other.stdout.decode() == f"{rank(everything())}\n"


def test_the_shop_is_not_needed_to_rank() -> None:
    """Without a graph every service stands for itself."""
    parts = latencies({"db": 4.0})
    assert SHOP.callees("front") == ["ads", "cart", "pay"]
    found = rank(replace(case(*parts), graph=replace(SHOP, edges=frozenset())))
    assert found.suspects[0].entity == "db"


def test_series_of_no_service_are_never_suspects() -> None:
    found = rank(case(window("", "latency", [1.0] * 120 + [90.0] * 5), *latencies({"db": 3.0})))
    assert "" not in [suspect.entity for suspect in found.suspects]
