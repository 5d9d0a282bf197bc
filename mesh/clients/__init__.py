"""How a service talks to another one."""

from mesh.clients.channel import open_channel, service_config
from mesh.clients.retry import Backoff, backoff, closing, keep_open, may_open_again

__all__ = [
    "Backoff",
    "backoff",
    "closing",
    "keep_open",
    "may_open_again",
    "open_channel",
    "service_config",
]
