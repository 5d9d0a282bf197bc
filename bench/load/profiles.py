"""How much is sent when: a profile gives a factor of the usual pace at each moment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What is sent a second at factor 1."""

    batches: float = 10.0
    posts: float = 20.0
    alerts: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`factor` of the share of the run that is over, 0 to 1."""

    name: str
    seconds: float
    factor: Callable[[float], float]


PROFILES: Final = {
    each.name: each
    for each in (
        Profile(name="baseline", seconds=60, factor=lambda over: 1.0),
        Profile(name="stress", seconds=120, factor=lambda over: 1.0 + 9.0 * over),
        Profile(name="spike", seconds=60, factor=lambda over: 10.0 if 0.4 < over < 0.6 else 1.0),
        Profile(name="sustained", seconds=600, factor=lambda over: 2.0),
    )
}
