"""What was refused since the process began, by reason: for the metric, the log and /health."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mesh.clock import Clock
from services.gateway.intake.outcome import Refusal
from services.gateway.metrics import ITEMS_REFUSED

_LOG_EVERY_S: Final = 10.0

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Refused:
    """Items of one kind that were refused. Reasons are ours, so there are only few."""

    count_by_reason: Counter[str] = field(default_factory=Counter)
    last_at: datetime | None = None


class Tally:
    """Counts every refusal; of each kind and reason it logs one in ten seconds."""

    def __init__(self, clock: Clock) -> None:
        """Starts at nothing."""
        self._clock = clock
        self._refused: dict[str, Refused] = {"alerts": Refused(), "samples": Refused()}
        self._logged_s: dict[tuple[str, str], float] = {}

    def note(self, kind: str, sender: str, refusals: Sequence[Refusal]) -> None:
        """Notes the refused items of one request of `sender`."""
        if not refusals:
            return
        refused = self._refused[kind]
        refused.last_at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        for reason, count in Counter(refusal.reason for refusal in refusals).items():
            refused.count_by_reason[reason] += count
            ITEMS_REFUSED.labels(kind, reason).inc(count)
        for refusal in {each.reason: each for each in refusals}.values():
            self._log(kind, sender, refusal)

    def refused(self) -> Mapping[str, Refused]:
        """By kind: alerts and samples."""
        return self._refused

    def _log(self, kind: str, sender: str, refusal: Refusal) -> None:
        now_s = self._clock.monotonic_s()
        key = kind, refusal.reason
        if now_s - self._logged_s.get(key, -_LOG_EVERY_S) < _LOG_EVERY_S:
            return
        self._logged_s[key] = now_s
        logger.warning(
            "refused an item",
            extra={
                "kind": kind,
                "sender": sender,
                "reason": refusal.reason,
                "refusal": refusal.message[:500],
                "refused_so_far": self._refused[kind].count_by_reason[refusal.reason],
            },
        )
