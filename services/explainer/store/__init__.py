"""What the explainer keeps in PostgreSQL, schema `explainer`."""

from services.explainer.store.claims import Claims, request_id_reused
from services.explainer.store.cursors import Cursors
from services.explainer.store.frames import Ending, Frames, OwnershipLostError
from services.explainer.store.records import Filter, Position, Records

__all__ = [
    "Claims",
    "Cursors",
    "Ending",
    "Filter",
    "Frames",
    "OwnershipLostError",
    "Position",
    "Records",
    "request_id_reused",
]
