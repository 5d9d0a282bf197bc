"""How long things take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Milliseconds.

    Attributes:
        gather_ms: An incident that is not critical waits so long for more members.
        settle_ms: It is over when nothing fired for so long.
        ack_timeout_ms: An owner who does nothing for so long is not on it.
        flap_window_ms: What comes again three times in it is flapping.
        flap_notice_ms: While it is, one notice in this time.
        undo_ms: A change can be taken back for so long.
        alike_ms: Incidents of one suspect that begin so close may be one.
        stale_ms: What began longer ago when it is seen is shown and gives no notice.
    """

    gather_ms: int = 10_000
    settle_ms: int = 300_000
    ack_timeout_ms: int = 3_600_000
    flap_window_ms: int = 7_200_000
    flap_notice_ms: int = 1_800_000
    undo_ms: int = 86_400_000
    alike_ms: int = 600_000
    stale_ms: int = 86_400_000

    @property
    def longest_ms(self) -> int:
        """No state waits longer."""
        return max(self.gather_ms, self.settle_ms, self.ack_timeout_ms)
