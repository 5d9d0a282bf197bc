"""What a metric measures, told by the words of its name.

The rankers never ask for a metric by name: they ask for a measure, and which way is bad.
"""

import re
from enum import StrEnum
from functools import lru_cache

from services.explainer.model.case import Symptom
from services.explainer.model.windows import SeriesWindow


class Measure(StrEnum):
    """Kinds of measurement; `BAD_DIRECTION` says which way each one hurts."""

    WAIT = "wait"
    SELF_TIME = "self_time"
    SERVER_LATENCY = "server_latency"
    CLIENT_LATENCY = "client_latency"
    ERRORS = "errors"
    AVAILABILITY = "availability"
    CPU = "cpu"
    MEMORY = "memory"
    TRAFFIC = "traffic"
    HOST = "host"
    OTHER = "other"


BAD_DIRECTION: dict[Measure, int] = {
    Measure.WAIT: 1,
    Measure.SELF_TIME: 1,
    Measure.SERVER_LATENCY: 1,
    Measure.CLIENT_LATENCY: 1,
    Measure.ERRORS: 1,
    Measure.AVAILABILITY: -1,
    Measure.CPU: 1,
    Measure.MEMORY: 1,
}
"""1 up, -1 down; a measure that is not here is bad in neither direction by itself."""


_FREE = frozenset("avail available free remaining left headroom unused".split())  # noqa: SIM905


def bad_direction(window: SeriesWindow, measure: Measure) -> int:
    """Which way hurts: 1 up, -1 down, 0 either; of what is free of a resource it is down."""
    if measure is Measure.MEMORY and words_of(window.metric) & _FREE:
        return -1
    return BAD_DIRECTION.get(measure, 0)


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_WORDS: tuple[tuple[Measure, frozenset[str]], ...] = (
    (Measure.HOST, _words("node host machine kubelet etcd dns coredns resolver")),
    (
        Measure.ERRORS,
        _words(
            "error errors err exception exceptions failed failures failure 5xx 4xx 500 502 503 504 "
            "fault faults panic panics rejected unauthorized timeout timeouts restart restarts "
            "evicted evictions"
        ),
    ),
    (Measure.AVAILABILITY, _words("availability success up ready healthy")),
    (Measure.SELF_TIME, _words("self")),
    (Measure.CPU, _words("cpu throttled throttling load")),
    (Measure.MEMORY, _words("memory mem rss heap oom swap disk filesystem")),
    (Measure.CLIENT_LATENCY, _words("client outbound upstream wait")),
    (Measure.SERVER_LATENCY, _words("latency duration delay lag elapsed response")),
    (
        Measure.TRAFFIC,
        _words(
            "requests request workload ops rps qps throughput traffic network bytes packets "
            "receive transmit lines count total calls"
        ),
    ),
)
"""Words by measure; the first measure with a word in the name wins."""

NAMES_KEPT = 4096
"""Metric names whose reading is remembered; a store knows few, but each in many series."""

_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_STATUS = ("code", "status", "status_code", "http_status_code", "http_response_status_code")
_LATENCY = _words("latency duration delay wait time seconds ms")


@lru_cache(maxsize=NAMES_KEPT)
def words_of(metric: str) -> frozenset[str]:
    """Lower-case words of a metric name.

    >>> sorted(words_of("PodServerLatencyP90(s)"))
    ['latency', 'p90', 'pod', 's', 'server']
    """
    return frozenset(parts_of(metric))


@lru_cache(maxsize=NAMES_KEPT)
def parts_of(metric: str) -> tuple[str, ...]:
    """The words of a metric name in their order.

    >>> parts_of("node_memory_MemAvailable_bytes")
    ('node', 'memory', 'mem', 'available', 'bytes')
    """
    return tuple(part.lower() for part in _SPLIT.split(metric) if part)


@lru_cache(maxsize=NAMES_KEPT)
def measure_of(metric: str) -> Measure:
    """What `metric` measures; OTHER when no word is known.

    >>> measure_of("http_5xx_ratio"), measure_of("CpuUsageRate(%)"), measure_of("foo")
    (<Measure.ERRORS: 'errors'>, <Measure.CPU: 'cpu'>, <Measure.OTHER: 'other'>)
    """
    words = words_of(metric)
    for measure, known in _WORDS:
        if words & known:
            if measure is Measure.CLIENT_LATENCY and not words & _LATENCY:
                continue
            return measure
    return Measure.OTHER


@lru_cache(maxsize=NAMES_KEPT)
def resource_of(metric: str) -> Measure | None:
    """CPU or MEMORY where a metric is about one of them, of a machine too; None for any other.

    >>> resource_of("node_cpu_utilization_ratio"), resource_of("request_seconds")
    (<Measure.CPU: 'cpu'>, None)
    """
    words = words_of(metric)
    of_resources = (pair for pair in _WORDS if pair[0] in (Measure.CPU, Measure.MEMORY))
    return next((measure for measure, known in of_resources if words & known), None)


def measure_of_series(window: SeriesWindow) -> Measure:
    """Like `measure_of`, with a look at the labels.

    A client's own span time is a WAIT for the service it calls; what is counted under a server
    error code are ERRORS.
    """
    measure = measure_of(window.metric)
    if measure is Measure.TRAFFIC and any(
        window.labels.get(name, "").startswith("5") for name in _STATUS
    ):
        return Measure.ERRORS
    if measure is Measure.SELF_TIME and window.labels.get("span_kind") == "client":
        return Measure.WAIT
    return measure


_SYMPTOMS: dict[Measure, Symptom] = {
    Measure.SELF_TIME: Symptom.LATENCY,
    Measure.WAIT: Symptom.LATENCY,
    Measure.SERVER_LATENCY: Symptom.LATENCY,
    Measure.CLIENT_LATENCY: Symptom.LATENCY,
    Measure.ERRORS: Symptom.ERRORS,
    Measure.AVAILABILITY: Symptom.AVAILABILITY,
    Measure.CPU: Symptom.RESOURCE,
    Measure.MEMORY: Symptom.RESOURCE,
    Measure.HOST: Symptom.RESOURCE,
    Measure.TRAFFIC: Symptom.TRAFFIC,
    Measure.OTHER: Symptom.UNKNOWN,
}


def symptom_of(metric: str) -> Symptom:
    """The kind of symptom an alert on `metric` tells of."""
    return _SYMPTOMS[measure_of(metric)]
