"""Series that are handed to ingest."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a series; `name` is that of the metric."""

    name: str
    labels: Mapping[str, str]
    value: float
