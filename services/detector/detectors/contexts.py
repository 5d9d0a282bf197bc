"""The detectors of the engine, by the name of their feature.

None looks at the value alone: a value never reached is new to `weekend` and `daytime` as
well, and a third vote for it costs more false alarms than it finds faults (see the ablation).
"""

from typing import Any, Protocol

import numpy as np

from services.detector.detectors import (
    change,
    daytime,
    offset,
    pattern,
    run,
    sequence,
    weekend,
)
from services.detector.detectors.sample import Sample


class Detector(Protocol):
    """What every detector module offers; state is one row of `STATE`, zeros at the start."""

    STATE: "np.dtype[Any]"

    def score(self, state: np.void, sample: Sample) -> float:
        """How strange the sample is, at least 0; changes nothing."""

    def learn(self, state: np.void, sample: Sample) -> None:
        """Takes the sample in."""

    def rescale(self, state: np.void, steps: int) -> None:
        """Follows the grid when its cells became 2**steps times as wide."""


CONTEXTS: dict[str, Detector] = {
    "change": change,
    "offset": offset,
    "daytime": daytime,
    "weekend": weekend,
    "sequence": sequence,
    "pattern": pattern,
    "run": run,
}
FEATURES = tuple(CONTEXTS)
