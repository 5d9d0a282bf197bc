"""Which endpoint a request is for: found once, before anything else looks at the request."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from starlette.convertors import Convertor
from starlette.routing import compile_path
from starlette.types import Scope

from services.gateway.http.endpoint import Endpoint

_MATCH: Final = "sensus.match"
_OTHER: Final = ""
"""Stands for the methods that a path does not have."""
_NEAR_MOST_CHARACTERS: Final = 64
_NEAR_MOST: Final = 2
_NEAR_LEAST: Final = 0.75
_FOREIGN: Final = {
    "/api/v1/push": "/api/v1/write",
    "/api/prom/push": "/api/v1/write",
    "/write": "/api/v1/write",
    "/api/v1/import": "/api/v1/metrics",
    "/opentelemetry/v1/metrics": "/v1/metrics",
    "/api/v1/query": "/api/v1/samples",
    "/api/v1/query_range": "/api/v1/samples",
    "/api/v1/labels": "/api/v1/series",
    "/webhook": "/api/v1/alerts",
}
"""Paths of other systems, and ours for the same purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a path and a method lead to.

    Attributes:
        endpoint: None when no endpoint has this path and method.
        parameters: Values of the path's parameters.
        allowed: The methods of the path; empty when nobody serves it.
    """

    endpoint: Endpoint | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()

    @property
    def route(self) -> str:
        """The pattern of the path, `unmatched` for none: bounded, so a fit metric label."""
        return self.endpoint.path if self.endpoint else "unmatched"


_Methods = dict[str, Endpoint]
_Pattern = tuple[re.Pattern[str], dict[str, Convertor[Any]], _Methods]


class Routes:
    """Finds endpoints. A path without parameters costs two look-ups."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        """A path that ends with a verb (`{id}:cancel`) comes before one that would swallow it."""
        self._endpoints = tuple(endpoints)
        by_path: defaultdict[str, _Methods] = defaultdict(dict)
        for endpoint in self._endpoints:
            for method in endpoint.methods:
                by_path[endpoint.path][method] = endpoint
        self._fixed = {
            path: _matches(methods) for path, methods in by_path.items() if "{" not in path
        }
        self._shown = list(dict.fromkeys(e.shown_path or e.path for e in self._endpoints))
        paths = sorted((path for path in by_path if "{" in path), key=_ends_open)
        self._patterns = [_pattern(path, by_path[path]) for path in paths]

    def match(self, method: str, path: str) -> Match:
        """The endpoint of a request."""
        if matches := self._fixed.get(path):
            return matches.get(method) or matches[_OTHER]
        for pattern, convertors, methods in self._patterns:
            if found := pattern.match(path):
                return _of(methods, method, _values(found, convertors))
        return _NOWHERE

    def near(self, path: str) -> list[str]:
        """The paths that an unknown one may be meant for, as OpenAPI writes them."""
        if path in _FOREIGN:
            return [_FOREIGN[path]]
        if len(path) > _NEAR_MOST_CHARACTERS:
            return []
        return get_close_matches(path, self._shown, _NEAR_MOST, _NEAR_LEAST)


def _ends_open(path: str) -> bool:
    return path.endswith("}")


def _pattern(path: str, methods: _Methods) -> _Pattern:
    regex, _, convertors = compile_path(path)
    return regex, convertors, methods


def _matches(methods: _Methods) -> dict[str, Match]:
    """The match of each method of a path, and of all others as `_OTHER`."""
    return {method: _of(methods, method, {}) for method in (*methods, _OTHER)}


def _of(methods: _Methods, method: str, parameters: dict[str, Any]) -> Match:
    return Match(endpoint=methods.get(method), parameters=parameters, allowed=frozenset(methods))


def _values(found: re.Match[str], convertors: Mapping[str, Convertor[Any]]) -> dict[str, Any]:
    return {name: convertors[name].convert(text) for name, text in found.groupdict().items()}


_NOWHERE: Final = Match()


def match_of(scope: Scope) -> Match:
    """The match of a request whose endpoint was looked for by `look_up`."""
    match: Match = scope[_MATCH]
    return match


def look_up(routes: Routes, scope: Scope) -> Match:
    """Finds the endpoint, and keeps it with the request."""
    match = scope[_MATCH] = routes.match(scope["method"], scope["path"])
    scope["path_params"] = match.parameters
    return match
