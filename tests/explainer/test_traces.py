"""Traces as evidence: asked from topology, ranked, told, and never in the way of an explanation."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.config import ConfigError, load
from mesh.errors import Unavailable
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.topology.v1 import topology_service_pb2 as pb_topology
from services.explainer.config import Config
from services.explainer.evidence.sources.traces import sharpest
from services.explainer.evidence.traces import (
    ORIGINS_SHOWN_MAX,
    OTHERS_SHOWN_MAX,
    example_piece,
    numbered,
    trace_evidence,
    with_changes,
)
from services.explainer.model.case import Change
from services.explainer.model.traces import NEVER, NO_TRACES, Call, CallKind, Example, Version
from services.explainer.rankers.systems import within
from services.topology.clients.explainer import ExplainerClient
from tests.explainer.conftest import Start
from tests.explainer.drawn_facts import SLOW
from tests.explainer.peers import EVENT_MS, Ingest, alert
from tests.explainer.peers.topology import TRACE_ID, Topology, served_topology
from tests.explainer.rankers import traced

MINUTE_MS = 60_000


@pytest.fixture
async def topology() -> Topology:
    """A topology that has seen no traces."""
    return Topology()


@pytest.fixture
async def target(topology: Topology) -> AsyncIterator[str]:
    """Its address."""
    async with served_topology(topology) as found:
        yield found


@pytest.fixture
async def web(ingest: Ingest) -> None:
    """The alert is about `web`, of which there are no series."""
    ingest.series.clear()
    about = alert("a1")
    about.labels.add(name="service", value="web")
    ingest.alerts["a1"] = about


def of_kind(found: pb.Explanation, *kinds: int) -> list[pb.Evidence]:
    """The evidence of some kinds."""
    return [each for each in found.evidence if each.kind in kinds]


@pytest.mark.usefixtures("web")
async def test_errors_that_begin_in_a_service_name_it_with_an_example_and_its_trace(
    start: Start, topology: Topology, target: str
) -> None:
    topology.sees_pay_fail()
    explainer = await start(
        topology_target=target, trace_url="https://jaeger.example.com/trace/{trace_id}"
    )
    found = await explainer.result()
    assert found.verdict == pb.VERDICT_EXPLAINED
    assert found.suspects[0].entity == "pay"
    assert "pay is the most likely cause: errors begin in pay, Charge: exception ValueError, " in (
        found.root_cause
    )
    assert "40 times in 100 requests, 0 are usual" in found.root_cause
    assert f"ValueError: no such currency, at pay.py:12 charge (trace {TRACE_ID})" in found.summary
    assert "read its error logs" in found.mitigation
    (example,) = of_kind(found, pb.EVIDENCE_KIND_EXAMPLE)
    assert example.link == f"https://jaeger.example.com/trace/{TRACE_ID}"
    short = await explainer.stub.GetExplanation(
        pb.GetExplanationRequest(
            explanation_id=found.explanation_id, view=pb.EXPLANATION_VIEW_SHORT
        )
    )
    assert TRACE_ID in short.explanation.summary


@pytest.mark.usefixtures("web")
async def test_the_calls_of_traces_are_the_graph(
    start: Start, topology: Topology, target: str
) -> None:
    topology.sees_a_shop()
    found = await (await start(topology_target=target)).result()
    assert [each.title for each in of_kind(found, pb.EVIDENCE_KIND_TOPOLOGY)] == ["web calls pay"]
    assert found.verdict == pb.VERDICT_INSUFFICIENT_EVIDENCE


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    ("version", "environment"),
    [("2", ""), ("2", "prod"), ("2" * 190, "prod")],
    ids=["no environment", "an environment", "a name that is cut"],
)
async def test_a_version_that_topology_told_as_a_change_is_shown_once_and_is_a_reason(
    start: Start, topology: Topology, target: str, version: str, environment: str
) -> None:
    topology.sees_pay_fail()
    seen_at = Timestamp(seconds=EVENT_MS // 1000 - 60)
    topology.sees_a_version("pay", version, environment, seen_at)
    explainer = await start(topology_target=target)
    teller = ExplainerClient(explainer.stub)
    await teller.deployed("pay", version, environment, seen_at.ToDatetime(UTC))
    found = await explainer.result()
    (told,) = of_kind(found, pb.EVIDENCE_KIND_CHANGE)
    reasons = {each.text: [*each.evidence_ids] for each in found.suspects[0].reasons}
    assert reasons["a new version of it began to run shortly before"] == [told.evidence_id]


async def test_what_traces_do_elsewhere_is_evidence_and_no_claim(
    start: Start, topology: Topology, target: str
) -> None:
    """The alert is about a machine that no trace names."""
    topology.sees_pay_fail()
    found = await (await start(topology_target=target)).result()
    assert len(of_kind(found, pb.EVIDENCE_KIND_ORIGIN_ERRORS)) == 1
    assert found.suspects[0].entity == "web-1"
    assert {"originated", "example"}.isdisjoint(each.kind for each in found.claims)


async def test_spans_of_several_lengths_are_compared_up_to_now(
    start: Start, topology: Topology, target: str
) -> None:
    topology.sees_a_shop()
    await (await start(topology_target=target)).result()
    starts = sorted(each.start_time.ToMilliseconds() for each in topology.asked)
    assert len(starts) == 3
    assert all(each % MINUTE_MS == 0 for each in starts)
    assert starts[-1] == (EVENT_MS - MINUTE_MS) // MINUTE_MS * MINUTE_MS
    ends = {each.end_time.ToMilliseconds() for each in topology.asked}
    assert ends == {-(-(EVENT_MS + 5 * MINUTE_MS) // MINUTE_MS) * MINUTE_MS}


@pytest.mark.parametrize("method", ["CompareTraces", "ListExamples"])
async def test_a_topology_that_fails_is_missing_no_more(
    start: Start, topology: Topology, target: str, method: str
) -> None:
    topology.sees_pay_fail()
    topology.faults.errors[method] = Unavailable("gone", reason="GONE")
    found = await (await start(topology_target=target)).result()
    assert found.verdict == pb.VERDICT_EXPLAINED
    missing = [each.title for each in of_kind(found, pb.EVIDENCE_KIND_MISSING)]
    assert ("traces: unavailable (GONE)" in missing) == (method == "CompareTraces")


async def test_a_topology_that_is_silent_costs_no_more_than_the_deadline(
    start: Start, topology: Topology, target: str
) -> None:
    topology.faults.delay_s["CompareTraces"] = 3600
    found = await (await start(topology_target=target, gather_timeout_s=0.5)).result()
    missing = [each.title for each in of_kind(found, pb.EVIDENCE_KIND_MISSING)]
    assert "traces: no answer in time" in missing
    assert found.suspects[0].entity == "web-1"


@pytest.mark.usefixtures("web")
async def test_what_is_compared_in_time_names_though_the_rest_and_the_examples_are_late(
    start: Start, topology: Topology, target: str
) -> None:
    topology.sees_pay_fail()
    topology.answers_at_most = 1
    topology.faults.delay_s["ListExamples"] = 3600
    found = await (await start(topology_target=target, gather_timeout_s=2.0)).result()
    assert found.suspects[0].entity == "pay"
    missing = [each.title for each in of_kind(found, pb.EVIDENCE_KIND_MISSING)]
    assert "traces: 2 of 3 spans of time were not compared in time" in missing


async def test_traces_nobody_sends_are_named_among_what_was_never_sent(
    start: Start, target: str
) -> None:
    with_topology = await (await start(topology_target=target)).result()
    without = await (await start()).result(anew=True)
    told = [
        [each.title for each in of_kind(found, pb.EVIDENCE_KIND_MISSING) if "never" in each.title]
        for found in (with_topology, without)
    ]
    assert "traces (OTLP)" in told[0][0]
    assert "traces (OTLP)" not in told[1][0]


REQUIRED = {
    "SENSUS_POSTGRES_DSN": "postgresql://sensus@db/sensus",
    "SENSUS_REDIS_URL": "redis://cache:6379",
    "SENSUS_AUTH_JWKS_FILE": "/keys/jwks.json",
    "SENSUS_AUTH_KEY_FILE": "/keys/explainer.pem",
}


@pytest.mark.parametrize("url", ["", "http://tempo:3200/traces/{trace_id}?tab=logs"])
def test_a_url_with_the_place_of_the_id_is_taken(url: str) -> None:
    assert load(Config, REQUIRED | {"SENSUS_TRACE_URL": url}).trace_url == url


@pytest.mark.parametrize(
    "url", ["tempo/{trace_id}", "http://tempo/traces", "javascript:{trace_id}", "http://a/{other}"]
)
def test_a_url_that_leads_nowhere_is_refused_with_what_to_change(url: str) -> None:
    with pytest.raises(ConfigError, match="SENSUS_TRACE_URL"):
        load(Config, REQUIRED | {"SENSUS_TRACE_URL": url})


@pytest.mark.parametrize("trace_id", ["", "4BF9", f"{TRACE_ID}/../../x", "{trace_id}"])
def test_only_the_id_of_a_trace_makes_a_link(trace_id: str) -> None:
    example = Example(
        example_id="x1", service="pay", operation="", exception="", message="<b>late</b>",
        frames=(), trace_id=trace_id, time_ms=0,
    )  # fmt: skip
    piece = example_piece(example, "https://jaeger.example.com/trace/{trace_id}")
    assert (piece.link, "trace_id" in piece.labels, "<" in piece.title) == ("", False, False)


def test_the_span_is_chosen_in_which_most_is_unusual() -> None:
    calm, loud = (traced.traces(origins=[traced.origin("pay", n)]) for n in (3, 60))
    longer = dataclasses.replace(loud, start_ms=loud.start_ms - MINUTE_MS)
    assert sharpest([calm, longer, loud]).start_ms == longer.start_ms
    assert sharpest([loud, calm]).origins == loud.origins
    assert sharpest([calm, loud]).looks == 2


def test_a_span_before_which_the_system_did_not_run_is_not_chosen() -> None:
    """Beside it another one runs, with a past that says nothing of ours."""
    mail = Call(
        service="mail", operation="send", via=CallKind.ENTRY,
        observed=traced.counts(500), usual=traced.counts(5000),
    )  # fmt: skip
    known = traced.traces([*traced.calls(), mail], origins=[traced.origin("pay", 60)])
    unknown = [dataclasses.replace(each, usual=NEVER) for each in traced.calls()]
    new = dataclasses.replace(
        known, calls=(*unknown, mail), start_ms=known.start_ms - 60 * MINUTE_MS
    )
    ours = [within(each, {"web"}) for each in (new, known)]
    assert sharpest(ours).start_ms == known.start_ms
    assert sharpest(ours).looks == 1
    assert sharpest(ours[:1]) is NO_TRACES


def test_a_span_before_which_the_system_had_hardly_begun_is_not_chosen() -> None:
    """Its first ten calls of a service were quick, and all later ones seem slow beside them."""
    known = traced.traces(origins=[traced.origin("pay", 40)])
    usual = {"stock": traced.counts(10, own=0.001, wait=0.0001)}
    begun = [
        dataclasses.replace(
            each, observed=traced.counts(400), usual=usual.get(each.service, traced.counts(10))
        )
        for each in traced.calls()
    ]
    whole = dataclasses.replace(known, calls=tuple(begun), start_ms=known.start_ms - 3 * MINUTE_MS)
    assert sharpest([whole, known]).start_ms == known.start_ms
    assert sharpest([whole]).start_ms == whole.start_ms


def test_what_is_shown_is_numbered_and_the_rest_is_not() -> None:
    found = traced.traces(
        traced.calls({("web", "cart"): traced.counts(traced.OBSERVED, own=0.5, wait=0.5)}),
        origins=[traced.origin("pay", 40), traced.origin("cart", 0)],
        shapes=traced.shapes(early=30),
        versions=[
            Version(service="web", version="2", first_seen_ms=EVENT_MS),
            Version(service="pay", version="2", environment="prod", first_seen_ms=EVENT_MS),
        ],
    )
    told = Change(
        evidence_id="", id="otel:web@2", kind="deploy", service="web", at_ms=EVENT_MS - MINUTE_MS
    )
    shown = trace_evidence(found, SLOW, [told])
    pieces = [
        dataclasses.replace(each.piece, evidence_id=f"E{place}") for place, each in enumerate(shown)
    ]
    with_ids = numbered(found, shown, pieces)
    titles = {each.evidence_id: each.title for each in pieces}
    pay, cart = with_ids.origins
    assert titles[pay.evidence_id].startswith("errors begin in pay, Charge")
    assert cart.evidence_id == ""
    called = next(each for each in with_ids.calls if each.service == "cart")
    assert titles[called.evidence_id] == "cart, Add takes longer"
    assert titles[called.wait_evidence_id] == "web waits longer for cart, Add"
    assert [bool(each.evidence_id) for each in with_ids.shapes] == [False, True]
    web, pay = with_changes(with_ids, [dataclasses.replace(told, evidence_id="told")]).versions
    assert web.evidence_id == "told"
    assert titles[pay.evidence_id] == "version 2 of pay began to run in prod"


def test_versions_that_were_told_take_no_place_of_those_that_were_not() -> None:
    versions = [
        Version(service=f"s{n}", version="2", first_seen_ms=EVENT_MS - n)
        for n in range(2 * OTHERS_SHOWN_MAX)
    ]
    told = [
        Change(evidence_id="", id=f"otel:{each.service}@2", kind="deploy", service="", at_ms=0)
        for each in versions[:OTHERS_SHOWN_MAX]
    ]
    shown = trace_evidence(traced.traces(versions=versions), SLOW, told)
    assert [each.counted for each in shown] == versions[OTHERS_SHOWN_MAX:]


def test_who_fails_once_is_shown_beside_who_fails_in_many_ways() -> None:
    """In the order in which all are: the least likely first."""
    many = [
        dataclasses.replace(traced.origin("pay", 60 - n), detail=f"error {n}")
        for n in range(2 * ORIGINS_SHOWN_MAX)
    ]
    found = traced.traces(origins=[*many, traced.origin("cart", 20)])
    shown = [each.counted for each in trace_evidence(found, SLOW)]
    assert shown == [*many[: ORIGINS_SHOWN_MAX - 1], found.origins[-1]]


@pytest.mark.usefixtures("web")
async def test_of_two_that_fail_in_many_ways_both_are_suspects_with_what_is_shown(
    start: Start, topology: Topology, target: str
) -> None:
    topology.sees_a_shop()
    topology.comparison.origins.extend(
        pb_topology.OriginChange(
            service=service, operation=operation, reason=pb_topology.ORIGIN_REASON_EXCEPTION,
            detail=f"Error{n}", observed=10,
        )
        for service, operation in (("pay", "Charge"), ("web", "GET /buy"))
        for n in range(ORIGINS_SHOWN_MAX)
    )  # fmt: skip
    found = await (await start(topology_target=target)).result()
    shown = {each.evidence_id: each for each in of_kind(found, pb.EVIDENCE_KIND_ORIGIN_ERRORS)}
    cited = {each.entity: {*each.reasons[0].evidence_ids} for each in found.suspects}
    assert cited.keys() == {"pay", "web"}
    assert all(ids <= shown.keys() for ids in cited.values())
