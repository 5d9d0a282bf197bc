"""The objectives, read from the file beside this one."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import msgspec

_FILE: Final = Path(__file__).with_name("objectives.toml")

Ratio = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Statuses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At least `ratio` of the requests have a status that is not among the bad ones."""

    bad_statuses: str
    ratio: Ratio


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At least `quantile` of the requests take no longer than `seconds`."""

    quantile: Ratio
    seconds: Annotated[float, msgspec.Meta(gt=0)]

    @property
    def name(self) -> str:
        """As in `latency_p95`."""
        return f"latency_p{self.quantile * 100:g}"


class Objectives(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is promised, over a window of days."""

    window_days: Annotated[int, msgspec.Meta(ge=1, le=90)]
    excluded_routes: str
    availability: Statuses
    errors: Statuses
    latency: tuple[Latency, ...]

    def covers(self, route: str) -> bool:
        """Whether something is promised for a route."""
        return re.fullmatch(self.excluded_routes, route) is None

    def allowed(self) -> dict[str, float]:
        """Share of requests that may be bad, by the name of the objective."""
        return {
            "availability": 1 - self.availability.ratio,
            "errors": 1 - self.errors.ratio,
            **{each.name: 1 - each.quantile for each in self.latency},
        }


@cache
def load_objectives(path: Path = _FILE) -> Objectives:
    """The objectives in a TOML file, the shipped one by default.

    Raises:
        ValueError: The file is not such; the message names the place.
    """
    return msgspec.toml.decode(path.read_bytes(), type=Objectives)
