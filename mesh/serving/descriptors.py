"""As many connections as there are file descriptors for, and some left for the process itself."""

import resource
from typing import Final

_MOST: Final = 4096
_OWN: Final = 256
_LEAST: Final = 64


def connections_allowed() -> int:
    """How many connections a server may accept; raises the limit of the process up to its own.

    Beyond that number the core closes a connection at once, so strangers never use up the
    descriptors with which the process talks to its stores.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(_LEAST, min(_MOST, soft - _OWN))
