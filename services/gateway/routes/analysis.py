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
from services.gateway.http.bodies import JsonResponse
from services.gateway.http.endpoint import Endpoint, Operation, Rate, principal_of
from services.gateway.http.problems import EmptyCollection
from services.gateway.http.queries import PAGE_NAMES, Page, integer, only, page_parameters

_READ: Final = Policy(any_of=frozenset({"read:analysis"}))
_SIZE: Final = 10
_SIZE_MOST: Final = 20
"""Each is fetched whole, with its evidence."""


class LatestAnalysis(msgspec.Struct, rename="camel", kw_only=True):
    """Explanations as `GET /api/v1/explanations/{explanation_id}` shows them."""

    explanation: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    explanations: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    next_page_token: str | msgspec.UnsetType = msgspec.UNSET


_LATEST: Final = Operation(
    tag="ExplainerService",
    name="GetLatestAnalysis",
    summary="The newest finished explanation, with its subject and evidence",
    description=(
        "`explanation`; with `pageSize` or `pageToken`, a page of `explanations`, newest first. "
        "404 when nothing was explained yet."
    ),
    answer=LatestAnalysis,
    parameters=(
        *page_parameters(default=_SIZE, most=_SIZE_MOST),
        {
            "name": "limit",
            "in": "query",
            "description": "The older name of pageSize.",
            "deprecated": True,
            "schema": {"type": "integer", "minimum": 1, "maximum": _SIZE_MOST},
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
                rate=Rate.ANALYSIS,
            )
        ]

    async def _latest(self, request: Request) -> Response:
        only(request, (*PAGE_NAMES, "limit"))
        principal = principal_of(request)
        if not request.query_params:
            found, _ = await self._page(Page(1, ""), principal)
            return JsonResponse(LatestAnalysis(explanation=found[0]))
        found, next_token = await self._page(_asked_page(request), principal)
        return JsonResponse(LatestAnalysis(explanations=found, next_page_token=next_token))

    async def _page(self, page: Page, principal: Principal) -> tuple[list[dict[str, Any]], str]:
        wanted = newest_done(page.size, page.token)
        listed = await self.clients.unary(LIST_EXPLANATIONS, wanted, principal)
        ids, next_token = explanation_ids(listed)
        if not ids and not page.token:
            raise EmptyCollection("explanation")
        found = await asyncio.gather(*(self._explanation(each, principal) for each in ids))
        return found, next_token

    async def _explanation(self, explanation_id: str, principal: Principal) -> dict[str, Any]:
        request = explanation_request(explanation_id)
        return explanation_to_json(await self.clients.unary(GET_EXPLANATION, request, principal))


def _asked_page(request: Request) -> Page:
    if "limit" not in request.query_params:
        return Page.of(request, default=_SIZE, most=_SIZE_MOST)
    only(request, ("limit",))
    return Page(integer(request, "limit", default=1, least=1, most=_SIZE_MOST), "")
