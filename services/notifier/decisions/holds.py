"""What holds the notices of an incident back."""

from dataclasses import dataclass
from datetime import UTC, datetime

from services.notifier.model.incident import Incident
from services.notifier.model.notices import Kind
from services.notifier.routing.tree import Route, Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRules:
    """What is known when it is asked. `inhibitor` is the incident that holds this one back."""

    routing: Routing
    now_ms: int
    inhibitor: str = ""

    def of(self, kind: Kind, incident: Incident, route: Route) -> str:
        """Why a notice waits; empty when it goes out. No mute holds the end back."""
        if kind is not Kind.RESOLVED:
            if incident.muted_until_ms > self.now_ms:
                return "the incident is muted"
            if incident.silenced:
                return "silences hold all of its alerts back"
            if self.inhibitor:
                return f"inhibited by incident {self.inhibitor}"
        return self.routing.held_by(route, datetime.fromtimestamp(self.now_ms / 1000, UTC))
