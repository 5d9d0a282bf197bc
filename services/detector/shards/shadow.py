"""What versions of the model do on the samples of one shard: the active one and its shadow."""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine
from services.detector.detectors.evaluation import histogram
from services.detector.model.model_life import Live
from services.detector.model.models import ActiveModel

SAMPLES_PER_BATCH: Final = 512

F32 = npt.NDArray[np.float32]


class Observer:
    """The active version and the one in its shadow, looking at the same features."""

    def __init__(self, active: ActiveModel, shadow: ActiveModel | None) -> None:
        """`shadow` is None when there is no candidate."""
        self._seen_by = [
            (model, Engine(forest=model.forest)) for model in (active, shadow) if model is not None
        ]

    def look(self, features: F32) -> dict[int, Live]:
        """Figures by version, from at most `SAMPLES_PER_BATCH` samples that have anything new."""
        new = features[features.any(axis=1)]
        chosen = new[:: max(1, len(new) // SAMPLES_PER_BATCH)]
        if not len(chosen):
            return {}
        strange = [(model, engine.strangeness(chosen)) for model, engine in self._seen_by]
        loud_active = strange[0][1] >= strange[0][0].loud
        return {
            model.version: Live(
                samples=len(chosen),
                loud=int((each >= model.loud).sum()),
                loud_with_active=int(((each >= model.loud) & loud_active).sum()),
                histogram=histogram(each).tolist(),
            )
            for model, each in strange
        }
