"""What the series of a shard are said to be: by a rule, their sender, their name, or by nobody."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from mesh.selector import METRIC_NAME, Selector, parse
from services.detector.detectors import kinds
from services.detector.model.metric_types import NOTHING_SAID, MetricTypes, kind_of, parts_of
from services.detector.model.rules import Rule
from services.detector.model.samples import Labels, SeriesKind, SeriesKindSource, is_counter

U8 = npt.NDArray[np.uint8]
May = Callable[[Labels], bool]

_DECLARED: Final = {SeriesKind.COUNTER: kinds.DECLARED, SeriesKind.GAUGE: kinds.NO_COUNTER}


class DeclaredKinds:
    """Follows rules, of which the first by name counts, and what senders say of their metrics."""

    def __init__(self) -> None:
        """Follows none."""
        self._rules: list[tuple[str, int]] | None = None
        self._selectors: list[tuple[Selector, int]] = []
        self._types: MetricTypes = NOTHING_SAID

    def use(self, rules: Iterable[Rule], types: MetricTypes) -> May | None:
        """Follows these; tells which label sets may be something else by that, None for none."""
        before, self._types = self._types, types
        speaking = [(rule.selector, rule.series_kind) for rule in rules if rule.series_kind]
        if speaking != self._rules:
            self._rules = speaking
            self._selectors = [
                (parse(selector), _DECLARED[SeriesKind(kind)]) for selector, kind in speaking
            ]
            return lambda _: True
        if types is before:
            return None
        changed = {
            name for name in types.keys() | before.keys() if types.get(name) != before.get(name)
        }
        return lambda labels: not changed.isdisjoint(_metrics_of(labels))

    def of(self, labels: Sequence[Labels]) -> tuple[U8, U8]:
        """What the engine is to take each label set for, as in `Engine.declare`, and who says so.

        The second are numbers of `SeriesKindSource`.
        """
        said = [self._of(each) for each in labels]
        return (
            np.array([kind for kind, _ in said], dtype=np.uint8),
            np.array([source for _, source in said], dtype=np.uint8),
        )

    def _of(self, labels: Labels) -> tuple[int, SeriesKindSource]:
        for selector, kind in self._selectors:
            if selector.matches(labels):
                return kind, SeriesKindSource.RULE
        by_sender = _DECLARED.get(kind_of(labels.get(METRIC_NAME, ""), self._types))
        if by_sender is not None:
            return by_sender, SeriesKindSource.METADATA
        if is_counter(labels):
            return kinds.DECLARED, SeriesKindSource.NAME
        return kinds.GAUGE, SeriesKindSource.VALUES


def _metrics_of(labels: Labels) -> tuple[str, str]:
    name = labels.get(METRIC_NAME, "")
    return name, parts_of(name)[0]
