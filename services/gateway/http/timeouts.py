"""How long the gateway waits for a peer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a connection waits for its peer, in seconds.

    Attributes:
        head_s: For the whole head of a request.
        body_part_s: For each part of a body.
        body_s: For a whole body.
        rest_s: For the rest of a body whose request is answered, and for a last answer to leave.
        reader_s: For a peer to read some of what is sent to it.
        keep_alive_s: For the next request.
    """

    head_s: float = 10.0
    body_part_s: float = 30.0
    body_s: float = 120.0
    rest_s: float = 10.0
    reader_s: float = 30.0
    keep_alive_s: int = 75
