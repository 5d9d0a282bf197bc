"""All SQL of the notifier."""

from services.notifier.store.changes import Changes
from services.notifier.store.claims import Claim, Claims
from services.notifier.store.held import Held
from services.notifier.store.incidents import Incidents
from services.notifier.store.notices import Notices, Wanted, check_over
from services.notifier.store.old import Old
from services.notifier.store.presence import Presence, Present
from services.notifier.store.routings import Routings, StoredRouting
from services.notifier.store.rows import Way
from services.notifier.store.settlements import Settled, Settlements
from services.notifier.store.timers import Timers
from services.notifier.store.ways import Queue, Ways, WayState

__all__ = [
    "Changes",
    "Claim",
    "Claims",
    "Held",
    "Incidents",
    "Notices",
    "Old",
    "Presence",
    "Present",
    "Queue",
    "Routings",
    "Settled",
    "Settlements",
    "StoredRouting",
    "Timers",
    "Wanted",
    "Way",
    "WayState",
    "Ways",
    "check_over",
]
