"""How strong alarms must be after what people said, as this process sees it."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from mesh.clock import Clock
from mesh.errors import Unavailable
from services.detector.detectors.strictness import bar
from services.detector.model.feedback import Judgement
from services.detector.store.feedback import FeedbackStore

POLL_S: Final = 1.0

logger = logging.getLogger(__name__)


class BarFeed:
    """Follows the stored feedback: a judgement works everywhere within two seconds."""

    def __init__(self, store: FeedbackStore, clock: Clock) -> None:
        """Knows nothing before `run`; no bars then."""
        self._store = store
        self._clock = clock
        self._known = asyncio.Event()
        self._state: object = None
        self._bars: Mapping[int, float] = {}

    def bars(self) -> Mapping[int, float]:
        """The alert score that an alarm must pass, by series; 0 for those not in it."""
        return self._bars

    async def known(self) -> None:
        """Returns when the store has been asked once."""
        await self._known.wait()

    async def run(self) -> None:
        """Asks for ever."""
        while True:
            try:
                await self.refresh()
            except Unavailable as error:
                logger.warning("feedback unknown", extra={"cause": error.message})
            await self._clock.sleep(POLL_S)

    async def refresh(self) -> None:
        """Asks once, and reads everything when something was said or forgotten."""
        state = await self._store.state()
        if state != self._state:
            self._bars = bars_of(await self._store.judgements())
            self._state = state
        self._known.set()


def bars_of(judgements: Iterable[Judgement]) -> dict[int, float]:
    """The bars of all series that anything was said of."""
    scores: dict[int, dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for each in judgements:
        scores[each.series_id][each.true_alarm].append(each.alert_score)
    bars = {series_id: bar(said[False], said[True]) for series_id, said in scores.items()}
    return {series_id: height for series_id, height in bars.items() if height > 0.0}
