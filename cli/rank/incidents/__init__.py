"""Recorded incidents of public collections, read into cases for the rankers.

A collection is recognised by its files, wherever it lies below the directory; folders named
`labels` are never opened.
"""

from cli.rank.incidents.find import find_incidents
from cli.rank.incidents.incident import Incident

__all__ = ["Incident", "find_incidents"]
