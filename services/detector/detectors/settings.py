"""The few numbers of the engine that a user may turn."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One configuration for every series of an engine.

    Attributes:
        warm_up: samples of a series that are learnt before the first is scored, at least 2.
        alerts_per_week: accepted alerts per series and week; None lets every episode speak, ranked
            by the alert score.
        time_zone: IANA name of the zone by which days and weeks begin.
        holidays: ISO 3166 code of the place whose public holidays count as Sundays; empty for none.
    """

    warm_up: int = 50
    alerts_per_week: float | None = None
    time_zone: str = "UTC"
    holidays: str = ""

    def __post_init__(self) -> None:
        """Refuses settings that mean nothing.

        Raises:
            ValueError: naming the setting.
        """
        if self.warm_up < 2:
            raise ValueError(f"warm_up must be at least 2, got {self.warm_up}")
        if self.alerts_per_week is not None and not 0 < self.alerts_per_week < 1e6:
            raise ValueError(f"alerts_per_week must be positive, got {self.alerts_per_week}")
