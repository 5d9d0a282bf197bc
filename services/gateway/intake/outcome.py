"""What became of the items of one request: good ones are stored, the others named by index."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from prometheus_client import Counter

from mesh.errors import InvalidInput, Violation

_VIOLATIONS: Final = 20
"""As many as an error shows on the wire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One item that was not taken.

    Attributes:
        index: Its place in the request, from 0.
        reason: For machines, UPPER_SNAKE.
        message: For people: why, and what to change.
        retryable: Whether the same item may be taken later.
    """

    index: int
    reason: str
    message: str
    retryable: bool = False


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of `count` items. Accepted ones and duplicates are durable."""

    count: int = 0
    accepted: int = 0
    duplicates: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    def check_some_taken(self, items: str, reason: str) -> None:
        """Passes when anything of the request could be taken.

        Raises:
            InvalidInput: `reason`, with a violation for each of the first items.
        """
        if self.accepted or self.duplicates or not self.refusals:
            return
        violations = [
            Violation(f"{items}[{each.index}]", each.message)
            for each in self.refusals[:_VIOLATIONS]
        ]
        first = violations[0]
        raise InvalidInput(
            f"none of the {items} was taken: {first.field}: {first.description}",
            reason=reason,
            violations=violations,
        )

    def count_on(self, counter: Counter, refused: int) -> None:
        """Adds this to a counter with the label `result`."""
        counts = (self.accepted, self.duplicates, refused)
        for child, count in zip(_results(counter), counts, strict=True):
            if count:
                child.inc(count)


@lru_cache
def _results(counter: Counter) -> tuple[Counter, ...]:
    return tuple(counter.labels(result) for result in ("accepted", "duplicate", "refused"))


def by_index(refusals: Sequence[Refusal]) -> list[Refusal]:
    """Refusals in the order of the request."""
    return sorted(refusals, key=lambda refusal: refusal.index)


def check_not_empty(count: int, items: str, reason: str) -> None:
    """Passes a request with at least one item.

    Raises:
        InvalidInput: `reason`.
    """
    if count == 0:
        raise InvalidInput(f"no {items}: send at least one", reason=reason)


def refused(field_name: str, rule: str) -> InvalidInput:
    """The error for one bad field of an item; `rule` says what to change."""
    return InvalidInput(f"{field_name} {rule}", violations=[Violation(field_name, rule)])
