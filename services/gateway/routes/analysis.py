"""GET /api/v1/analysis/latest: the newest finished explanations, whole."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import Policy, Principal
from services.gateway.clients import Clients
from services.gateway.convert import (
    GET_EXPLANATION,
    LIST_EXPLANATIONS,
    explanation_ids,
    explanation_request,
    explanation_to_json,
    newest_done,
)
from services.gateway.http.bodies import json_response
from services.gateway.http.endpoint import Endpoint, Operation, principal_of
from services.gateway.http.problems import NothingYet
from services.gateway.http.queries import integer, only

_READ: Final = Policy(any_of=frozenset({"read:analysis"}))
_MOST: Final = 20


class LatestAnalysis(msgspec.Struct, kw_only=True):
    """Explanations as `GET /api/v1/explanations/{explanation_id}` shows them."""

    explanation: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    explanations: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


_LATEST: Final = Operation(
    tag="ExplainerService",
    name="GetLatestAnalysis",
    summary="The newest finished explanation, with its subject and evidence",
    description=(
        "`explanation`; with `limit`, up to so many `explanations`, newest first. "
        "404 when nothing was explained yet."
    ),
    answer=LatestAnalysis,
    parameters=(
        {
            "name": "limit",
            "in": "query",
            "description": "1 by default",
            "schema": {"type": "integer", "minimum": 1, "maximum": _MOST},
        },
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRoutes:
    """What was explained last."""

    clients: Clients

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        return [
            Endpoint(
                method="GET",
                path="/api/v1/analysis/latest",
                policy=_READ,
                handle=self._latest,
                operation=_LATEST,
            )
        ]

    async def _latest(self, request: Request) -> Response:
        only(request, ("limit",))
        limit = integer(request, "limit", default=1, least=1, most=_MOST)
        principal = principal_of(request)
        page = await self.clients.unary(LIST_EXPLANATIONS, newest_done(limit), principal)
        ids = explanation_ids(page)
        if not ids:
            raise NothingYet("explanation")
        found = await asyncio.gather(*(self._explanation(each, principal) for each in ids))
        if "limit" in request.query_params:
            return json_response(LatestAnalysis(explanations=found))
        return json_response(LatestAnalysis(explanation=found[0]))

    async def _explanation(self, explanation_id: str, principal: Principal) -> dict[str, Any]:
        request = explanation_request(explanation_id)
        return explanation_to_json(await self.clients.unary(GET_EXPLANATION, request, principal))
