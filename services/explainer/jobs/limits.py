"""Bounds of the jobs of one process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the jobs of one process.

    Attributes:
        running_max: Runs at once; more are refused.
        attempts_max: Runs of one explanation, the first included, before it is given up.
        lease_s: A run that is silent that long is taken over.
        keepalive_s: A stream without news says so that often.
        poll_s: How often a stream looks at a run of another process.
        drain_wait_s: Silence of a run after which a stream that drains gives it up.
    """

    running_max: int = 64
    attempts_max: int = 5
    lease_s: float = 15.0
    keepalive_s: float = 5.0
    poll_s: float = 0.25
    drain_wait_s: float = 0.5
