"""How a service talks to another one."""

from mesh.clients.calls import Backoff, backoff, closing, keep_open, may_open_again
from mesh.clients.channel import open_channel, service_config

__all__ = [
    "Backoff",
    "backoff",
    "closing",
    "keep_open",
    "may_open_again",
    "open_channel",
    "service_config",
]
