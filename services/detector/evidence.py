"""Feature vectors of chosen samples of a batch.

The engine remembers the features of the last sample of each series. Where a series has several
samples in the batch, its state from before is replayed up to the sample in question.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine, Forest, Settings
from services.detector.model import Samples

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


class Evidence:
    """Made before a batch is processed, asked after. Cost: a copy of the states it may need."""

    def __init__(self, engine: Engine, rows: I32) -> None:
        """Keeps the states of the rows that occur more than once."""
        self._engine = engine
        self._rows = rows
        unique, counts = np.unique(rows, return_counts=True)
        self._repeated = unique[counts > 1]
        self._before = engine.export_rows(self._repeated)

    def features_at(
        self, indices: Sequence[int], samples: Samples, settings: Settings, forest: Forest
    ) -> F32:
        """Features float32[k, F] of the samples at these ascending indices."""
        last = self._engine.features_of_last(self._rows[list(indices)])
        replay = [k for k, index in enumerate(indices) if self._rows[index] in self._repeated]
        if replay:
            scratch = Engine(forest=forest, settings=settings)
            scratch.add_series(len(self._repeated))
            scratch.import_rows(np.arange(len(self._repeated), dtype=np.int32), self._before)
            last[replay] = self._replay(scratch, [indices[k] for k in replay], samples)
        return last

    def _replay(self, scratch: Engine, indices: Sequence[int], samples: Samples) -> F32:
        places = np.searchsorted(self._repeated, self._rows).astype(np.int32)
        features, start_by_row = [], dict[int, int]()
        for index in indices:
            row = int(self._rows[index])
            start = start_by_row.get(row, 0)
            chosen = start + np.flatnonzero(self._rows[start : index + 1] == row)
            scratch.process(places[chosen], samples.timestamps_ms[chosen], samples.values[chosen])
            features.append(scratch.features_of_last(places[index : index + 1])[0])
            start_by_row[row] = index + 1
        return np.array(features, dtype=np.float32)
