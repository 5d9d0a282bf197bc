"""TopologyService: check, ask, add up, encode. Any replica answers for all."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc

from mesh.clock import Clock
from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1 import topology_service_pb2_grpc as pb_grpc
from services.topology.convert import messages, pages, requests
from services.topology.model.reading import StoredExample
from services.topology.query.compare import MOST, OriginPair, compare
from services.topology.query.naming import EdgeName, dictionary
from services.topology.query.sides import Counts, Side, Sides, edges_by_name
from services.topology.query.spans import Minutes, numbers, usual_of
from services.topology.store import examples, patterns
from services.topology.store.examples import ExampleStore
from services.topology.store.names import NameStore
from services.topology.store.patterns import PatternStore
from services.topology.store.versions import VersionStore

FULL_NAME: Final = pb.DESCRIPTOR.services_by_name["TopologyService"].full_name
_EXAMPLES_READ: Final = 2000
_EXAMPLES_SHOWN: Final = 3

T = TypeVar("T")
K = TypeVar("K")

CompareContext = grpc.aio.ServicerContext[pb.CompareTracesRequest, pb.CompareTracesResponse]
EdgesContext = grpc.aio.ServicerContext[pb.ListEdgesRequest, pb.ListEdgesResponse]
PatternsContext = grpc.aio.ServicerContext[pb.ListLogPatternsRequest, pb.ListLogPatternsResponse]
ExamplesContext = grpc.aio.ServicerContext[pb.ListExamplesRequest, pb.ListExamplesResponse]
VersionsContext = grpc.aio.ServicerContext[pb.ListVersionsRequest, pb.ListVersionsResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the methods call; `threads` is where counts are added up and compared."""

    sides: Sides
    names: NameStore
    patterns: PatternStore
    examples: ExampleStore
    versions: VersionStore
    clock: Clock
    threads: Executor


class TopologyServicer(pb_grpc.TopologyServiceServicer):
    """Answers from the store."""

    def __init__(self, parts: Parts) -> None:
        """Serves from `parts`."""
        self._parts = parts

    async def CompareTraces(  # noqa: N802
        self, request: pb.CompareTracesRequest, context: "CompareContext"
    ) -> pb.CompareTracesResponse:
        """Both sides of what differs."""
        observed = requests.observed(request, self._parts.clock.now_ms())
        asked = requests.usual(request) or usual_of(observed)
        services = requests.services(request)
        usual = [part for each in asked for part in each.without(observed)]
        standing = await self._parts.sides.standing()
        new, old = await asyncio.gather(
            self._parts.sides.side(numbers([observed]), standing),
            self._parts.sides.side(numbers(usual), standing),
        )
        known = await dictionary(self._parts.names, self._parts.threads, new.table, old.table)
        found = await self._in_thread(lambda: compare(new, old, known, set(services)))
        examples_seen, stored, changed = await asyncio.gather(
            self._examples(observed, found.services),
            self._parts.patterns.these(each.pattern for each in found.patterns),
            self._parts.versions.changed(
                requests.moment(observed.first * 60_000),
                requests.moment(observed.until * 60_000),
                requests.moment(self._parts.clock.now_ms()),
                MOST,
            ),
        )

        def answer() -> pb.CompareTracesResponse:
            by_service = _grouped(examples_seen, lambda example: example.service)
            by_pattern = _grouped(examples_seen, lambda example: example.pattern)
            return pb.CompareTracesResponse(
                coverage=pb.Coverage(observed=messages.coverage(new), usual=messages.coverage(old)),
                edges=[messages.edge_change(each) for each in found.edges],
                origins=[
                    messages.origin_change(each, _ids(_of_origin(each, by_service)))
                    for each in found.origins
                ],
                shapes=[messages.shape_change(each) for each in found.shapes],
                patterns=[
                    messages.pattern_change(each, stored, _ids(by_pattern.get(each.pattern, ())))
                    for each in found.patterns
                    if each.pattern in stored
                ],
                versions=[
                    messages.version(each)
                    for each in changed
                    if found.services is None or each.service in found.services
                ],
            )

        # thousands of messages: not while others wait
        return await self._in_thread(answer)

    async def ListEdges(  # noqa: N802
        self, request: pb.ListEdgesRequest, context: "EdgesContext"
    ) -> pb.ListEdgesResponse:
        """One page of the graph."""
        size = pages.checked_size(request.page_size)
        asked = requests.edge_minutes(request, self._parts.clock.now_ms())
        # later pages are of the same minutes, whenever they are asked for
        first, until, after = pages.place_of(
            request, tuple[int, int, int], (asked.first, asked.until, 0)
        )
        side = await self._parts.sides.side(
            numbers([Minutes(first, until)]), await self._parts.sides.standing()
        )
        edges = await self._edges(side, request)
        page = edges[after : after + size]
        place = (first, until, after + size)
        return pb.ListEdgesResponse(
            edges=[
                pb.CountedEdge(edge=messages.edge(name), counts=messages.counts(counts))
                for name, counts in page
            ],
            coverage=messages.coverage(side),
            next_page_token=pages.token_of(place, request) if after + size < len(edges) else "",
        )

    async def ListLogPatterns(  # noqa: N802
        self, request: pb.ListLogPatternsRequest, context: "PatternsContext"
    ) -> pb.ListLogPatternsResponse:
        """One page of patterns."""
        size = pages.checked_size(request.page_size)
        found = await self._parts.patterns.list(
            service=request.service,
            min_severity=requests.otlp_severity(request.min_severity),
            seen_since_ms=requests.time_ms(request, "seen_since", 0),
            first_since_ms=requests.time_ms(request, "first_seen_since", 0),
            before=pages.place_of(request, tuple[int, int], patterns.FIRST),
            size=size + 1,
        )
        is_more = len(found) > size
        place = patterns.place_of(found[size - 1]) if is_more else None
        return pb.ListLogPatternsResponse(
            patterns=[messages.pattern(each) for each in found[:size]],
            next_page_token=pages.token_of(place, request) if is_more else "",
        )

    async def ListExamples(  # noqa: N802
        self, request: pb.ListExamplesRequest, context: "ExamplesContext"
    ) -> pb.ListExamplesResponse:
        """One page of examples."""
        size = pages.checked_size(request.page_size)
        start_ms, end_ms = requests.range_ms(request)
        found = await self._parts.examples.list(
            services=[request.service] if request.service else None,
            exception_type=request.exception_type,
            pattern=messages.pattern_number(request.pattern_id) if request.pattern_id else None,
            start_ms=start_ms,
            end_ms=end_ms,
            before=pages.place_of(request, tuple[int, str], examples.FIRST),
            size=size + 1,
        )
        is_more = len(found) > size
        place = examples.place_of(found[size - 1]) if is_more else None
        return pb.ListExamplesResponse(
            examples=[messages.example(each) for each in found[:size]],
            next_page_token=pages.token_of(place, request) if is_more else "",
        )

    async def ListVersions(  # noqa: N802
        self, request: pb.ListVersionsRequest, context: "VersionsContext"
    ) -> pb.ListVersionsResponse:
        """One page of versions."""
        size = pages.checked_size(request.page_size)
        after = pages.place_of(request, int, 0)
        found = await self._parts.versions.list(
            request.service,
            requests.moment(requests.time_ms(request, "seen_since", 0)),
            requests.moment(self._parts.clock.now_ms()),
            after=after,
            size=size + 1,
        )
        return pb.ListVersionsResponse(
            versions=[messages.version(each) for each in found[:size]],
            next_page_token=pages.token_of(after + size, request) if len(found) > size else "",
        )

    async def _edges(
        self, side: Side, request: pb.ListEdgesRequest
    ) -> Sequence[tuple[EdgeName, Counts]]:
        """All edges that are asked for, busiest first."""
        known = await dictionary(self._parts.names, self._parts.threads, side.table)

        def named(name: EdgeName) -> EdgeName | None:
            if request.service not in ("", name.caller.service, name.called.service):
                return None
            return name if request.by_operation else name.between_services()

        def listed() -> list[tuple[EdgeName, Counts]]:
            edges = edges_by_name(side.table, known, named).items()
            return sorted(edges, key=lambda each: (-each[1].spans, str(each[0])))

        return await self._in_thread(listed)

    async def _examples(
        self, observed: Minutes, services: Iterable[str] | None
    ) -> Sequence[StoredExample]:
        return await self._parts.examples.list(
            services=None if services is None else sorted(services),
            start_ms=observed.first * 60_000,
            end_ms=observed.until * 60_000,
            size=_EXAMPLES_READ,
        )

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._parts.threads, work)


def register(parts: Parts, server: grpc.aio.Server) -> None:
    """Serves the contract from `parts`."""
    pb_grpc.add_TopologyServiceServicer_to_server(TopologyServicer(parts), server)


def _ids(found: Iterable[StoredExample]) -> list[str]:
    return [each.example_id for each in found][:_EXAMPLES_SHOWN]


def _grouped(
    seen: Iterable[StoredExample], key: Callable[[StoredExample], K]
) -> Mapping[K, Sequence[StoredExample]]:
    found: dict[K, list[StoredExample]] = {}
    for each in seen:
        found.setdefault(key(each), []).append(each)
    return found


def _of_origin(
    pair: OriginPair, seen: Mapping[str, Sequence[StoredExample]]
) -> Iterable[StoredExample]:
    """Of the same service: by its type of exception, else by its operation."""
    ours = seen.get(pair.place.service, ())
    if pair.reason == pb.ORIGIN_REASON_EXCEPTION:
        return [each for each in ours if each.type == pair.detail]
    return [each for each in ours if each.name == pair.place.name]
