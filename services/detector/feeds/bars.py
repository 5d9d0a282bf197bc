"""How strong alarms must be after what people said, as this process sees it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from services.detector.detectors.strictness import bar
from services.detector.model.feedback import Judgement
from services.detector.store.feedback import FeedbackStore


class BarFeed:
    """Follows the stored feedback: a judgement works everywhere within two seconds."""

    subject: Final = "feedback"

    def __init__(self, store: FeedbackStore) -> None:
        """Knows nothing before `refresh`; no bars then."""
        self._store = store
        self._state: object = None
        self._bars: Mapping[int, float] = {}

    def bars(self) -> Mapping[int, float]:
        """The alert score that an alarm must pass, by series; 0 for those not in it."""
        return self._bars

    async def refresh(self) -> None:
        """Asks once, and reads everything when something was said or forgotten."""
        state = await self._store.state()
        if state != self._state:
            self._bars = bars_of(await self._store.judgements())
            self._state = state


def bars_of(judgements: Iterable[Judgement]) -> dict[int, float]:
    """The bars of all series that anything was said of."""
    scores: dict[int, dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for each in judgements:
        scores[each.series_id][each.true_alarm].append(each.alert_score)
    bars = {series_id: bar(said[False], said[True]) for series_id, said in scores.items()}
    return {series_id: height for series_id, height in bars.items() if height > 0.0}
