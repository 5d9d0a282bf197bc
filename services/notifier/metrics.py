"""Metrics of the notifier: name, unit, meaning, what to do when it moves."""

from typing import Final

from prometheus_client import Counter, Gauge

from mesh.exemplars import TracedHistogram

_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)

NOTICES: Final = Counter(
    "sensus_notifier_notices_total",
    "Notices decided. Rising far faster than incidents: look at the routing for doubled receivers.",
    ["kind"],
)
ATTEMPTS: Final = Counter(
    "sensus_notifier_attempts_total",
    "Attempts to deliver a notice. Outcome retry rising: a receiver's server fails, see "
    "`sensus notices receivers`; failed: notices were given up, the fallback receiver has them.",
    ["channel", "outcome"],
)
LATENCY: Final = TracedHistogram(
    "sensus_notifier_delivery_latency_seconds",
    "From what a notice tells to its delivery. Above 60 s: a receiver is slow or left alone.",
    ["channel"],
    buckets=_SECONDS,
)
WAITING: Final = Gauge(
    "sensus_notifier_waiting_notices",
    "Notices that wait for their delivery. Rising: a receiver takes less than there is to tell.",
    ["channel"],
)
OLDEST: Final = Gauge(
    "sensus_notifier_oldest_waiting_seconds",
    "Age of the oldest notice that waits. Above 300: somebody is not told; see the receivers.",
)
CIRCUITS: Final = Gauge(
    "sensus_notifier_open_circuits",
    "Integrations that are left alone after five failures in a row. Above 0: a server does not "
    "answer; its notices go to the fallback receiver.",
    ["channel"],
)
FOLDED: Final = Counter(
    "sensus_notifier_digests_total",
    "Digests sent. Rising: a storm, or a receiver whose rate is too low.",
)
LOST_CLAIMS: Final = Counter(
    "sensus_notifier_lost_claims_total",
    "Attempts whose claim had passed to another replica before they ended: each may have told "
    "twice. Rising: the loop stalls, or a server answers later than the lease lasts.",
)
TIMERS: Final = Counter(
    "sensus_notifier_timers_total",
    "Timers that were due: escalations and repeats. Rising: nobody acknowledges.",
)
CURSOR: Final = Gauge(
    "sensus_notifier_incident_cursor",
    "Place in the log of incidents up to which all notices are decided. Stuck: nobody follows.",
)
FORGOTTEN: Final = Counter(
    "sensus_notifier_forgotten_total",
    "Notices deleted because of their age. Rising fast: many are told; see those decided by kind.",
)
