"""What the series of a shard are said to be: by a rule, by their name, or by nobody."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from mesh.selector import Selector, parse
from services.detector.detectors import kinds
from services.detector.model.rules import Rule
from services.detector.model.samples import Labels, SeriesKind, is_counter

_DECLARED = {SeriesKind.COUNTER: kinds.DECLARED, SeriesKind.GAUGE: kinds.NO_COUNTER}


class DeclaredKinds:
    """Follows the rules that say it; of several the first by name counts."""

    def __init__(self) -> None:
        """Follows none."""
        self._rules: list[tuple[str, int]] | None = None
        self._selectors: list[tuple[Selector, int]] = []

    def use(self, rules: Iterable[Rule]) -> bool:
        """Follows these rules; whether that may change what a series is."""
        speaking = [(rule.selector, rule.series_kind) for rule in rules if rule.series_kind]
        if speaking == self._rules:
            return False
        self._rules = speaking
        self._selectors = [
            (parse(selector), _DECLARED[SeriesKind(kind)]) for selector, kind in speaking
        ]
        return True

    def of(self, labels: Sequence[Labels]) -> npt.NDArray[np.uint8]:
        """What the engine is to take each label set for, uint8[n] as in `Engine.declare`."""
        return np.array([self._of(each) for each in labels], dtype=np.uint8)

    def _of(self, labels: Labels) -> int:
        for selector, kind in self._selectors:
            if selector.matches(labels):
                return kind
        return kinds.DECLARED if is_counter(labels) else kinds.GAUGE
