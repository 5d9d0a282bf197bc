"""What the methods call."""

from concurrent.futures import Executor
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.publisher import Publisher
from services.incidents.clients.callgraph import CallGraph
from services.incidents.correlator import Settings
from services.incidents.keeper.actions import Actions
from services.incidents.lifecycle.times import Times
from services.incidents.store.history import HistoryStore
from services.incidents.store.incidents import IncidentStore
from services.incidents.store.log import LoggedEvent
from services.incidents.store.postmortems import PostmortemStore
from services.incidents.store.rules import RuleStore
from services.incidents.store.services import ServiceStore
from services.incidents.store.silences import SilenceStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Stores, and who writes; previews run in `threads`."""

    incidents: IncidentStore
    services: ServiceStore
    rules: RuleStore
    graph: CallGraph
    silences: SilenceStore
    postmortems: PostmortemStore
    history: HistoryStore
    actions: Actions
    publisher: Publisher[LoggedEvent]
    clock: Clock
    settings: Settings
    times: Times
    threads: Executor
