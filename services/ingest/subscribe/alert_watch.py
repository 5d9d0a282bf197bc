"""What a watcher of alerts wants of their log."""

from dataclasses import dataclass

from mesh.selector import Selector
from services.ingest.store.alert_log import LoggedAlert


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWatchQuery:
    """What a watcher wants; `after` is None for what comes from now on."""

    after: int | None
    selector: Selector
    min_severity: int
    heartbeat_s: float

    def wants(self, change: LoggedAlert) -> bool:
        """Whether a change is sent."""
        is_urgent = change.alert.severity.value >= self.min_severity
        return is_urgent and self.selector.matches(dict(change.alert.labels))
