"""Which alerts belong together: pure, in one pass, the same for the same input."""

from services.incidents.correlator.correlate import close, correlate, merge, move
from services.incidents.correlator.settings import Settings
from services.incidents.correlator.state import State

__all__ = ["Settings", "State", "close", "correlate", "merge", "move"]
