"""Feature vectors of chosen samples of a batch.

The engine remembers the features of the last sample of each series. Where a series has several
samples in the batch, its state from before is replayed up to the sample in question.
"""

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import FEATURES, Engine, Forest, Settings
from services.detector.model.samples import Samples

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Indices = npt.NDArray[np.intp]


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
        self, indices: Indices, samples: Samples, settings: Settings, forest: Forest
    ) -> F32:
        """Features float32[k, F] of the samples at these ascending indices."""
        found = self._engine.features_of_last(self._rows[indices])
        again = np.isin(self._rows[indices], self._repeated)
        if again.any():
            scratch = Engine(forest=forest, settings=settings)
            scratch.add_series(len(self._repeated))
            scratch.import_rows(np.arange(len(self._repeated), dtype=np.int32), self._before)
            found[again] = self._replay(scratch, indices[again], samples)
        return found

    def _replay(self, scratch: Engine, indices: Indices, samples: Samples) -> F32:
        """Round by round: in each, every series goes on to its next sample in question."""
        mine = np.flatnonzero(np.isin(self._rows, self._repeated))
        places = np.searchsorted(self._repeated, self._rows[mine]).astype(np.int32)
        wanted = np.searchsorted(self._repeated, self._rows[indices]).astype(np.int32)
        features = np.zeros((len(indices), len(FEATURES)), dtype=np.float32)
        reached = np.full(len(self._repeated), -1, dtype=np.intp)
        pending = np.arange(len(indices))
        while len(pending):
            _, first = np.unique(wanted[pending], return_index=True)
            now = pending[first]
            goal = reached.copy()
            goal[wanted[now]] = indices[now]
            steps = (mine > reached[places]) & (mine <= goal[places])
            chosen = mine[steps]
            scratch.process(places[steps], samples.timestamps_ms[chosen], samples.values[chosen])
            features[now] = scratch.features_of_last(wanted[now])
            reached, pending = goal, np.delete(pending, first)
        return features
