"""What the explainer keeps in PostgreSQL, schema `explainer`."""

from services.explainer.store.claims import Claims, request_id_reused
from services.explainer.store.context import Context
from services.explainer.store.cursors import Cursors
from services.explainer.store.feedback import Feedback, Opinion
from services.explainer.store.frames import Ending, Frames, OwnershipLostError
from services.explainer.store.groups import Fate, Groups
from services.explainer.store.incidents import Incident, Incidents
from services.explainer.store.old import Old
from services.explainer.store.prompts import Figures, KeptTemplate, Outcome, Prompts
from services.explainer.store.records import Filter, Position, Records

__all__ = [
    "Claims",
    "Context",
    "Cursors",
    "Ending",
    "Fate",
    "Feedback",
    "Figures",
    "Filter",
    "Frames",
    "Groups",
    "Incident",
    "Incidents",
    "KeptTemplate",
    "Old",
    "Opinion",
    "Outcome",
    "OwnershipLostError",
    "Position",
    "Prompts",
    "Records",
    "request_id_reused",
]
