"""Metrics of incidents: name, unit, meaning, what to do when it moves."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge

from services.incidents.model.incident import Event

CHANGES: Final = Counter(
    "sensus_incidents_changes_total",
    "Changes of alerts and anomalies that were placed. Flat while ingest stores alerts: see the "
    "lease and the log.",
)
BACKGROUND: Final = Counter(
    "sensus_incidents_background_total",
    "Changes that fire all the time and opened nothing. Most of all: mend these alerts.",
)
EVENTS: Final = Counter(
    "sensus_incidents_events_total",
    "Events of the log, by kind. A jump of opened: a storm.",
    ["kind"],
)
DROPPED: Final = Counter(
    "sensus_incidents_dropped_total",
    "Incidents deleted by age. Flat for days on an old installation: see the log.",
)
LEADER: Final = Gauge(
    "sensus_incidents_leader", "1 where changes are grouped. The sum over replicas must be 1."
)
WATCH_CURSOR: Final = Gauge(
    "sensus_incidents_watch_cursor",
    "How far each watched log was processed. Standing still while that log grows: see the log.",
    ["log"],
)
WATCHERS: Final = Gauge(
    "sensus_incidents_watchers", "Open watches of incidents. 0 with a notifier: it hears of none."
)


def count(events: Iterable[Event]) -> None:
    """Counts events of the log."""
    for each in events:
        EVENTS.labels(each.kind.name.lower()).inc()
