"""Windows and figures from samples: what is usual, what is observed, what may be quoted."""

from dataclasses import replace

import numpy as np
import pytest

from services.explainer.evidence.figures import figures_of, unit_of
from services.explainer.evidence.pieces import series_evidence
from services.explainer.evidence.windowing import (
    observed_start,
    shift_of,
    window_of,
    without_small_newcomers,
)
from services.explainer.model.evidence import EvidenceKind
from services.explainer.model.subjects import SeriesSamples, SubjectFacts, SubjectKind, SubjectRef
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.deviation import USUAL_SIGMAS
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.moves import move_of

EVENT_MS = 1_000_000


def facts(lead_ms: int = 100_000) -> SubjectFacts:
    """An alert at EVENT_MS."""
    return SubjectFacts(
        ref=SubjectRef(kind=SubjectKind.ALERT, id="a"),
        state="firing",
        title="alert a",
        severity="info",
        labels={},
        event_ms=EVENT_MS,
        lead_ms=lead_ms,
    )


def series(values: list[float], *, until_ms: int = EVENT_MS, step_ms: int = 1000) -> SeriesSamples:
    """Samples up to and including a time."""
    times = np.arange(until_ms - step_ms * (len(values) - 1), until_ms + 1, step_ms)
    labels = {"__name__": "wait_seconds", "host": "h1"}
    return SeriesSamples(series_id=1, labels=labels, timestamps_ms=times, values=np.array(values))


@pytest.mark.parametrize(("metric", "counts"), [("span_count", False), ("spans_count", True)])
def test_spans_of_a_minute_are_no_counter_even_where_none_is_fewer(
    metric: str, counts: bool
) -> None:
    made = series([12.0, 15.0, 15.0, 15.0])
    named = replace(made, labels={"__name__": metric, "service": "cart"})
    assert window_of(named, "cart", start_ms=0, end_ms=EVENT_MS).is_rate is counts


def window(values: list[float], start_ms: int) -> SeriesWindow:
    """A window whose observed part begins at a time."""
    return window_of(series(values), "h1", start_ms=start_ms, end_ms=EVENT_MS)


@pytest.mark.parametrize(
    ("samples", "lead_ms", "before_ms"),
    [(41, 100_000, 10_000), (401, 50_000, 50_000), (1, 50_000, 0)],
)
def test_observed_part_is_the_lead_but_no_more_than_a_quarter_of_the_past(
    samples: int, lead_ms: int, before_ms: int
) -> None:
    found = observed_start([series([1.0] * samples)], facts(lead_ms))
    assert found == EVENT_MS - before_ms


def test_without_series_the_observed_part_begins_at_the_event() -> None:
    assert observed_start([], facts()) == EVENT_MS


def test_figures_tell_level_before_and_after_distance_and_time() -> None:
    found = window([1.0, 2.0] * 20 + [9.0] * 5, EVENT_MS - 8000)
    figures = {each.name: (round(each.value, 2), each.unit) for each in figures_of(found, EVENT_MS)}
    assert figures == {
        "baseline": (1.5, "s"),
        "observed": (9.0, "s"),
        "size_sigma": (pytest.approx(10.12, abs=0.2), "1"),
        "change_before_event": (4.0, "s"),
    }


def test_no_size_is_told_of_a_series_whose_spread_is_a_floor() -> None:
    """A flat series that jumps tenfold would else always read as nearly 100 times its spread."""
    for usual in ([1.0, 1.001], [0.0, 0.0]):
        found = window(usual * 20 + [9.0] * 5, EVENT_MS - 8000)
        named = [each.name for each in figures_of(found, EVENT_MS)]
        assert named == ["baseline", "observed", "change_before_event"]
        assert shift_of(found).size > 10
        reason = move_of(found, Measure.SERVER_LATENCY).reason()
        assert reason.text.endswith("to 9, far outside its usual range")


def test_series_within_its_usual_range_changed_at_no_time() -> None:
    found = window([1.0, 2.0] * 24, EVENT_MS - 8000)
    figures = {each.name: each.value for each in figures_of(found, EVENT_MS)}
    assert figures.keys() == {"baseline", "observed", "size_sigma"}
    assert figures["size_sigma"] < USUAL_SIGMAS
    reason = move_of(found, Measure.SERVER_LATENCY).reason()
    assert reason.text.endswith("within its usual range")


def test_series_that_fell_silent_tells_for_how_long() -> None:
    gone = window_of(
        series([1.0, 2.0] * 20, until_ms=EVENT_MS - 5000),
        "h1",
        start_ms=EVENT_MS - 10_000,
        end_ms=EVENT_MS,
    )
    figures = {each.name: each.value for each in figures_of(gone, EVENT_MS)}
    assert figures["silent_before_event"] == 5.0
    steady = window([1.0, 2.0] * 20, EVENT_MS - 10_000)
    assert "silent_before_event" not in {each.name for each in figures_of(steady, EVENT_MS)}


def test_change_after_the_event_is_told_as_such() -> None:
    late = series([1.0, 2.0] * 20 + [9.0] * 5, until_ms=EVENT_MS + 9000)
    found = window_of(late, "h1", start_ms=EVENT_MS - 5000, end_ms=EVENT_MS + 9000)
    figures = {each.name: each.value for each in figures_of(found, EVENT_MS)}
    assert figures["change_after_event"] == 5.0
    assert "change_before_event" not in figures


def test_gaps_and_infinities_are_neither_measured_nor_drawn() -> None:
    odd = [1.0, 2.0] * 20 + [float("nan"), float("inf"), 1.5, 1.5, 1.5]
    piece = series_evidence(window(odd, EVENT_MS - 4000), facts(), EvidenceKind.MOVED_SERIES)
    assert piece.title == 'wait_seconds{host="h1"} stayed within its usual range'
    assert piece.samples is not None
    assert piece.samples.values.size == 43
    assert all(np.isfinite(each.value) for each in piece.figures)


def test_series_of_nothing_but_gaps_has_no_figures() -> None:
    piece = series_evidence(
        window([float("nan")] * 30, EVENT_MS - 4000), facts(), EvidenceKind.SUBJECT_SERIES
    )
    assert (piece.figures, piece.samples) == ((), None)


@pytest.mark.parametrize(
    ("metric", "unit"),
    [("a_seconds", "s"), ("a_bytes", "By"), ("a_percent", "%"), ("a_ratio", "1"), ("cpu", "")],
)
def test_unit_is_that_of_the_name(metric: str, unit: str) -> None:
    assert unit_of(replace(window([1.0, 2.0], EVENT_MS), metric=metric)) == unit


def shown_of(values: list[float], metric: str = "wait_seconds") -> tuple[str, set[str]]:
    """What is said of a subject's own series of a sample every 30 s up to the event."""
    samples = series(values, until_ms=EVENT_MS, step_ms=30_000)
    samples = replace(samples, labels={"__name__": metric})
    found = window_of(
        samples,
        "",
        start_ms=EVENT_MS - 600_000,
        end_ms=EVENT_MS,
        event_ms=EVENT_MS,
        is_own=True,
    )
    piece = series_evidence(found, facts(), EvidenceKind.SUBJECT_SERIES)
    return piece.title.removeprefix(metric).strip(), {each.name for each in piece.figures}


NOISE = [50.0 + 6.0 * float(np.sin(37.0 * each)) for each in range(800)]


@pytest.mark.parametrize("hours", [1, 3, 6, 11])
def test_own_series_left_its_range_however_long_ago_that_was(hours: int) -> None:
    low = [0.1 + each / 20_000 for each in NOISE]
    high = [1.0 + each / 2000 for each in NOISE[:120]]
    told, _ = shown_of([*low, *low] + high * hours)
    assert told == "rose above its usual range"


@pytest.mark.parametrize(
    ("values", "metric", "figure"),
    [
        ([*NOISE, 500.0, *NOISE[:9]], "wait_seconds", "reached"),
        ([*NOISE, -500.0, *NOISE[:9]], "wait_seconds", "reached"),
        ([0.1 + each / 800 for each in range(800)], "wait_seconds", "reached"),
        ([0.0] * 800 + [1.0] * 9, "restarts_total", "gained"),
        ([0.0] * 800 + [float(each // 4) for each in range(17)], "restarts_total", "gained"),
    ],
    ids=["spike", "dip", "leak", "restart", "crash loop"],
)
def test_what_reached_beyond_its_usual_range_is_not_said_to_have_stayed_within(
    values: list[float], metric: str, figure: str
) -> None:
    told, figures = shown_of(values, metric)
    assert told == "reached what it usually does not"
    assert figure in figures


def test_what_stays_within_is_said_to() -> None:
    told, figures = shown_of(NOISE)
    assert told == "stayed within its usual range"
    assert not figures & {"reached", "gained"}


@pytest.mark.parametrize("low", [0.0, 95.0], ids=["fell", "rose"])
@pytest.mark.parametrize("recovered_min", [12, 50])
def test_what_left_its_range_and_recovered_before_the_alert_is_not_said_to_have_stayed_within(
    low: float, recovered_min: int
) -> None:
    day = np.random.default_rng(3).normal(40.0, 1.0, 24 * 60)
    end_ms = EVENT_MS + 24 * 3_600_000
    day[-recovered_min - 8 : -recovered_min] = low
    own = series(day.tolist(), until_ms=end_ms, step_ms=60_000)
    found = window_of(
        own, "h1", start_ms=end_ms - 600_000, end_ms=end_ms, event_ms=end_ms, is_own=True
    )
    piece = series_evidence(found, replace(facts(), event_ms=end_ms), EvidenceKind.SUBJECT_SERIES)
    assert piece.title.endswith("reached what it usually does not")
    reached = piece.figure("reached")
    assert reached is not None
    assert reached.value == low
    day[-3 * 60 - 8 : -3 * 60] = low  # what it also did hours ago is usual
    again = series(day.tolist(), until_ms=end_ms, step_ms=60_000)
    found = window_of(again, "h1", start_ms=end_ms - 600_000, end_ms=end_ms, is_own=True)
    assert not figures_of(found, end_ms)[2:]


@pytest.mark.parametrize(
    ("metric", "kept"),
    [
        ("namedprocess_namegroup_memory_bytes", ["steady", "new"]),
        ("namedprocess_namegroup_cpu_cores", ["steady", "new"]),
        ("node_cpu_seconds_total", ["steady", "new"]),
        ("http_errors_per_second", ["steady", "new", "small", "seldom"]),
        ("wait_seconds", ["steady", "new", "small", "seldom"]),
    ],
)
def test_what_begins_at_nothing_and_stays_small_is_left_out(metric: str, kept: list[str]) -> None:
    """From nothing every rise is far outside the usual range."""
    groups = {
        "steady": [200.0] * 30,
        "new": [0.0] * 20 + [50.0] * 10,
        "small": [0.0] * 20 + [2.0] * 10,
        "seldom": [0.0, 0.0, 0.0, 1.0] * 5 + [2.0] * 10,
    }
    windows = [
        replace(window(values, EVENT_MS - 9000), metric=metric, labels={"groupname": name})
        for name, values in groups.items()
    ]
    found = without_small_newcomers(windows)
    assert [each.labels["groupname"] for each in found] == kept
