"""All SQL of the notifier."""

from services.notifier.store.changes import Changes
from services.notifier.store.claims import Claim, Claims
from services.notifier.store.held import HeldNotices
from services.notifier.store.incidents import Incidents
from services.notifier.store.integrations import IntegrationStore, Queue, WayState
from services.notifier.store.notices import NoticeFilter, Notices, check_over
from services.notifier.store.presence import Presence, PresenceLock
from services.notifier.store.retention import RetentionStore
from services.notifier.store.routings import Routings, StoredRouting
from services.notifier.store.rows import IntegrationKey
from services.notifier.store.settlements import Settlement, Settlements
from services.notifier.store.timers import Timers

__all__ = [
    "Changes",
    "Claim",
    "Claims",
    "HeldNotices",
    "Incidents",
    "IntegrationKey",
    "IntegrationStore",
    "NoticeFilter",
    "Notices",
    "Presence",
    "PresenceLock",
    "Queue",
    "RetentionStore",
    "Routings",
    "Settlement",
    "Settlements",
    "StoredRouting",
    "Timers",
    "WayState",
    "check_over",
]
