"""What is asked of alarms after what people said, as this process sees it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from services.detector.detectors.strictness import Strictness, strictness
from services.detector.model.feedback import Judgement
from services.detector.store.feedback import FeedbackStore


class StrictnessFeed:
    """Follows the stored feedback: a judgement works everywhere within two seconds."""

    subject: Final = "feedback"

    def __init__(self, store: FeedbackStore) -> None:
        """Knows nothing before `refresh`."""
        self._store = store
        self._state: object = None
        self._by_series: Mapping[int, Strictness] = {}

    def by_series(self) -> Mapping[int, Strictness]:
        """What is asked of series that people said anything of; nothing of all others."""
        return self._by_series

    async def refresh(self) -> None:
        """Asks once, and reads everything when something was said or forgotten."""
        state = await self._store.state()
        if state != self._state:
            self._by_series = strictness_of(await self._store.judgements())
            self._state = state


def strictness_of(judgements: Iterable[Judgement]) -> dict[int, Strictness]:
    """By series, of all series that anything was said of."""
    scores: dict[int, dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for each in judgements:
        scores[each.series_id][each.true_alarm].append(each.alert_score)
    return {each: strictness(said[False], said[True]) for each, said in scores.items()}
