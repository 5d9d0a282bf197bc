"""A bomb of names: bounded for each caller, and in memory."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from mesh.clock import SystemClock
from services.ingest.model.events import LINES, RECORD
from services.ingest.otlp.logs import OtlpLogsReader
from services.ingest.otlp.traces import OtlpTracesReader
from services.ingest.write.name_caps import (
    MOST_ADDRESSES,
    MOST_OPERATIONS,
    MOST_PATTERNS,
    MOST_SERVICES,
    OTHER,
    NameCaps,
)
from tests.ingest.otlp.events import NOW_NS, logs, traces

TRACES, LOGS = OtlpTracesReader(takes_examples=False), OtlpLogsReader()
DAY_MS = 86_400_000
LETTERS = str.maketrans("0123456789", "ghjkmnpqrs")


@dataclass
class Days(SystemClock):
    """A clock that shows the beginning of a day."""

    day: int = 20_000

    def now_ms(self) -> int:
        return self.day * DAY_MS


def word(number: int) -> str:
    """A word without digits, each number another."""
    return f"w{number}".translate(LETTERS)


def spans_named(names: list[str]) -> bytes:
    """A body with a span of each name."""
    return bytes(traces(*({"name": each} for each in names)).SerializeToString())


def test_operations_beyond_the_bound_are_one_of_their_service() -> None:
    caps = NameCaps(Days())
    first = TRACES.read(spans_named([word(n) for n in range(MOST_OPERATIONS)]), NOW_NS)
    assert caps.capped("a", first) is first
    more = TRACES.read(spans_named([word(0), "late", "later"]), NOW_NS)
    capped = caps.capped("a", more)
    names = [capped.names.operations[int(each)].name for each in capped.rows["operation"]]
    assert names == [word(0), OTHER, OTHER]
    assert len(capped.names.operations) == 2
    assert (len(capped.rows), capped.rejected) == (3, 0)
    assert caps.capped("b", more) is more


def test_the_bound_is_that_of_a_day() -> None:
    clock = Days()
    caps = NameCaps(clock)
    caps.capped("a", TRACES.read(spans_named([word(n) for n in range(MOST_OPERATIONS)]), NOW_NS))
    clock.day += 1
    late = TRACES.read(spans_named(["late"]), NOW_NS)
    assert caps.capped("a", late) is late


def test_patterns_beyond_the_bound_are_one_of_their_service() -> None:
    caps = NameCaps(Days())
    lines = [{"body": word(n), "severity_number": 17} for n in range(MOST_PATTERNS + 2)]
    capped = caps.capped("a", LOGS.read(logs(*lines).SerializeToString(), NOW_NS))
    records = capped.rows[capped.rows["kind"] == RECORD]
    texts = [capped.names.patterns[int(each)].text for each in records["parent"]]
    assert (len(set(texts)), texts.count(OTHER)) == (MOST_PATTERNS + 1, 2)
    assert {each.pattern for each in capped.examples} <= set(capped.names.patterns)


def test_addresses_exceptions_and_copies_beyond_the_bound_are_one_or_none() -> None:
    caps = NameCaps(Days())

    def body(numbers: range) -> bytes:
        request = traces()
        for number in numbers:
            called = {"server.address": word(number)}
            fault = {"exception.type": word(number)}
            copy = {"service.name": "shop", "service.instance.id": word(number)}
            failed = {"kind": 3, "attributes": called, "error": True, "events": [fault]}
            request.MergeFrom(traces(failed, resource=copy))
        return bytes(request.SerializeToString())

    caps.capped("a", TRACES.read(body(range(MOST_ADDRESSES)), NOW_NS))
    capped = caps.capped("a", TRACES.read(body(range(MOST_ADDRESSES, MOST_ADDRESSES + 9)), NOW_NS))
    assert set(capped.names.addresses.values()) == {OTHER}
    assert set(capped.names.exceptions.values()) == {OTHER}
    assert (set(capped.rows["instance"].tolist()), capped.names.instances) == ({0}, {})
    assert capped.rejected == 0
    again = caps.capped("a", TRACES.read(body(range(3)), NOW_NS))
    assert set(again.names.addresses.values()) == {word(0), word(1), word(2)}


def test_records_of_services_beyond_the_bound_are_rejected() -> None:
    caps = NameCaps(Days())
    request = logs({"body": "a"}, {"body": "b"}, resource={"service.name": word(0)})
    for number in range(1, MOST_SERVICES):
        request.MergeFrom(logs({"body": "a"}, resource={"service.name": word(number)}))
    full = LOGS.read(request.SerializeToString(), NOW_NS)
    assert caps.capped("a", full) is full
    more = logs(
        {"body": "a"}, {"body": "b"}, {"body": "c", "severity_number": 17},
        resource={"service.name": "late"},
    )  # fmt: skip
    more.MergeFrom(logs({"body": "a"}, resource={"service.name": word(7)}))
    capped = caps.capped("a", LOGS.read(more.SerializeToString(), NOW_NS))
    assert [int(each) for each in capped.rows["kind"]] == [LINES]
    assert {each.service for each in capped.names.operations.values()} == {word(7)}
    assert (capped.rejected, len(capped.reasons), capped.examples) == (3, 1, [])
    caps.capped("b", LOGS.read(more.SerializeToString(), NOW_NS))


BOMB = """
import sys, psutil
from tests.ingest.write.test_name_caps import LOGS, NOW_NS, TRACES, logs, spans_named, word
kind = sys.argv[1]

def read(body):
    names = [word(body * 10_000 + n) + " of a flood" for n in range(10_000)]
    if kind == "spans":
        TRACES.read(spans_named(names), NOW_NS)
    else:
        lines = ({"body": each, "severity_number": 17} for each in names)
        LOGS.read(logs(*lines).SerializeToString(), NOW_NS)

for body in range(20):
    read(body)
before = psutil.Process().memory_info().rss
for body in range(20, 60):
    read(body)
print(psutil.Process().memory_info().rss - before)
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", ["spans", "lines"])
def test_names_without_end_take_bounded_memory(kind: str) -> None:
    """Keeping each of the 400,000 names would take 40 MB at least."""
    done = subprocess.run(
        [sys.executable, "-c", BOMB, kind], check=True, capture_output=True, timeout=600
    )
    assert int(done.stdout) < 20_000_000
