"""Ids of counts as names: who called, and what stands for whom was called."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from services.topology.minutes.edges import EdgeKey
from services.topology.minutes.table import MinuteTable
from services.topology.model import events as model
from services.topology.model.names import OTHER, OTHER_ID, Named
from services.topology.store.names import ADDRESS, EXCEPTION, OPERATION, PATTERN, NameStore
from services.topology.traces import settle
from services.topology.traces.shapes import ShapeCalls

UNKNOWN: Final = "unknown"
"""Stands for whom was called where the sender does not say it."""
_GRPC: Final = 1 << 16
_NOBODY: Final = Named("", "")
_CALLING: Final = (model.CLIENT, model.PRODUCER)


@dataclass(frozen=True, slots=True)
class EdgeName:
    """An edge by names."""

    caller: Named
    called: Named
    kind: int
    connection: int

    def between_services(self) -> "EdgeName":
        """The same without operations."""
        caller, called = Named(self.caller.service, ""), Named(self.called.service, "")
        return EdgeName(caller, called, 0, self.connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dictionary:
    """What ids stand for; those that were forgotten are `UNKNOWN`.

    Attributes:
        behind: The service that usually answers at an address, where it does.
    """

    operations: Mapping[int, Named]
    addresses: Mapping[int, Named]
    patterns: Mapping[int, Named]
    exceptions: Mapping[int, Named]
    behind: Mapping[int, str]

    def operation(self, number: int) -> Named:
        """A service with its operation; empty for 0."""
        if number == OTHER_ID:
            return Named(OTHER, OTHER)
        return self.operations.get(number, Named(UNKNOWN, UNKNOWN)) if number else _NOBODY

    def address(self, number: int) -> str:
        """What a client called: the service that usually answers there, else the address."""
        if number == OTHER_ID:
            return OTHER
        if number in self.behind:
            return self.behind[number]
        return self.addresses[number].name if number in self.addresses else UNKNOWN

    def edge(self, key: EdgeKey) -> EdgeName:
        """A call that nobody answered stands for what it called, in the name of its caller."""
        caller, operation, peer, kind, connection = key
        named = self.operation(operation)
        if kind in _CALLING and connection != settle.ENTRY:
            by = self.operation(caller) if caller else Named(named.service, "")
            return EdgeName(by, Named(self.address(peer), named.name), kind, connection)
        return EdgeName(self.operation(caller), named, kind, connection)

    def place(self, operation: int, peer: int, reason: int) -> Named:
        """To whom an error is charged."""
        named = self.operation(operation)
        if not peer:
            return named
        return Named(self.address(peer), "" if reason == settle.UNREACHABLE else named.name)

    def detail(self, number: int) -> str:
        """The type of an exception, a pattern, or a code."""
        if number in self.exceptions:
            return self.exceptions[number].name
        if number in self.patterns:
            return self.patterns[number].name
        if 0 < number < 2 * _GRPC:
            return f"grpc {number - _GRPC}" if number >= _GRPC else f"http {number}"
        return ""

    def shape(self, calls: ShapeCalls) -> tuple[tuple[Named, int], ...]:
        """The calls of a shape by name."""
        called = [(self.callee(operation, peer), times) for operation, peer, times in calls]
        return tuple(sorted(called, key=lambda each: (each[0].service, each[0].name, each[1])))

    def callee(self, operation: int, peer: int) -> Named:
        """Whom a call called; nobody where that was not kept."""
        if operation == OTHER_ID:
            return Named("", OTHER)
        named = self.operation(operation)
        return Named(self.address(peer), named.name) if peer else named


@dataclass(slots=True)
class _Ids:
    """Ids that stand in some tables."""

    operations: set[int]
    addresses: set[int]
    patterns: set[int]
    details: set[int]


async def dictionary(names: NameStore, pool: Executor, *tables: MinuteTable) -> Dictionary:
    """What the ids in some tables stand for; they are gathered in `pool`."""
    loop = asyncio.get_running_loop()
    ids = await loop.run_in_executor(pool, _ids_of, tables)
    named = await names.named(OPERATION, ids.operations - {0})
    return Dictionary(
        operations=named,
        behind=await loop.run_in_executor(pool, _behind, named, tables),
        addresses=await names.named(ADDRESS, ids.addresses - {0}),
        patterns=await names.named(PATTERN, (ids.patterns | ids.details) - {0}),
        exceptions=await names.named(EXCEPTION, ids.details - {0}),
    )


def _ids_of(tables: Sequence[MinuteTable]) -> _Ids:
    operations, addresses, patterns, details = set[int](), set[int](), set[int](), set[int]()
    for table in tables:
        for caller, operation, peer, _, _ in table.edges.keys.tolist():
            operations |= {caller, operation}
            addresses.add(peer)
        for operation, peer, _, detail in table.origins:
            operations.add(operation)
            addresses.add(peer)
            details.add(detail)
        for operation, pattern, _ in table.patterns:
            operations.add(operation)
            patterns.add(pattern)
        patterns |= set(table.firsts)
        operations |= {operation for _, operation in table.behind}
        operations |= {operation for operation, _ in table.shapes}
        for calls in table.shape_calls.values():
            operations |= {operation for operation, _, _ in calls}
            addresses |= {peer for _, peer, _ in calls}
    return _Ids(operations, addresses, patterns, details)


def _behind(named: Mapping[int, Named], tables: Sequence[MinuteTable]) -> Mapping[int, str]:
    """By address the service that answered most of its calls."""
    calls: dict[int, Counter[str]] = {}
    for table in tables:
        for (address, operation), count in sorted(table.behind.items()):
            if operation in named:
                calls.setdefault(address, Counter())[named[operation].service] += count
    return {address: each.most_common(1)[0][0] for address, each in calls.items()}
