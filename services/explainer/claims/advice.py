"""Which advice which evidence calls for, and how it reads. Pure."""

from typing import Final

from services.explainer.claims.form import Action, Mechanism
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.rankers.saturation import Resource, resource_of

_BY_RESOURCE: Final = {
    Resource.DISK: Action.FREE_SPACE,
    Resource.CERTIFICATE: Action.RENEW_CERTIFICATE,
    Resource.QUEUE: Action.DRAIN_QUEUE,
    Resource.MEMORY: Action.REDUCE_MEMORY,
}
_BY_MECHANISM: Final = {
    Mechanism.ERRORS: Action.READ_LOGS,
    Mechanism.UNAVAILABILITY: Action.CHECK_REACHABLE,
    Mechanism.CPU: Action.REDUCE_CPU,
    Mechanism.MEMORY: Action.REDUCE_MEMORY,
    Mechanism.TRAFFIC: Action.CHECK_TRAFFIC,
    Mechanism.MACHINE: Action.CHECK_MACHINE,
    Mechanism.CHANGE: Action.UNDO_CHANGE,
    Mechanism.SLOWNESS: Action.FIND_WAIT,
    Mechanism.OTHER: Action.COMPARE,
}
WORDS: Final = {
    Action.FREE_SPACE: "free space there or enlarge the disk",
    Action.RAISE_LIMIT: "find what holds it, then release it or raise the limit",
    Action.RENEW_CERTIFICATE: "renew the certificate",
    Action.DRAIN_QUEUE: "find who stopped taking from the queue or fills it, then drain it",
    Action.UNDO_CHANGE: "undo the change",
    Action.READ_LOGS: "read its error logs",
    Action.REDUCE_CPU: "find what uses the processor there, then stop it or give it more",
    Action.REDUCE_MEMORY: "find what fills the memory there, then free it or give it more",
    Action.CHECK_REACHABLE: "check that it runs and can be reached, then restart it",
    Action.FIND_WAIT: "look at what it waits for, or add capacity",
    Action.CHECK_TRAFFIC: "find who sends or stopped sending the traffic, then limit or reroute it",
    Action.CHECK_MACHINE: "check the machine itself, then move the load away from it",
    Action.COMPARE: "find what is different there since before it began",
}


def action_for(piece: Evidence, mechanism: Mechanism) -> Action:
    """What a piece of evidence calls for first."""
    if mechanism is Mechanism.EXHAUSTION:
        resource = resource_of(piece.labels.get("__name__", ""))
        return _BY_RESOURCE.get(resource, Action.RAISE_LIMIT) if resource else Action.RAISE_LIMIT
    return _BY_MECHANISM[mechanism]


def fits_action(action: Action, piece: Evidence, entity: str, mechanism: Mechanism) -> bool:
    """Whether a piece calls for an action on an entity: only a known change of it is undone."""
    if piece.kind is EvidenceKind.CHANGE:
        own = piece.labels.get("service") == entity
        return action is Action.UNDO_CHANGE and own and bool(piece.figure("change_before_event"))
    shows = piece.has_moved or piece.is_exhausted or piece.is_counted
    return action is Action.COMPARE or (shows and action is action_for(piece, mechanism))
