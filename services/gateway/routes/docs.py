"""/openapi.json and /docs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC
from services.gateway.http.endpoint import Endpoint, Operation
from services.gateway.http.problems import JSON
from services.gateway.openapi.page import CONTENT_SECURITY_POLICY, page

_JSON: Final = Operation(tag="Operation", name="GetOpenApi", summary="This document")
_PAGE: Final = Operation(tag="Operation", name="GetDocs", summary="This document for people")
_PAGE_HEADERS: Final[Mapping[str, str]] = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}


@dataclass(frozen=True, slots=True)
class DocsRoutes:
    """The document, encoded once."""

    document: dict[str, Any]

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        body, html = msgspec.json.encode(self.document), page(self.document)

        async def as_json(request: Request) -> Response:
            return Response(body, media_type=JSON)

        async def as_page(request: Request) -> Response:
            return Response(html, media_type="text/html", headers=_PAGE_HEADERS)

        return [
            Endpoint(
                method="GET",
                path="/openapi.json",
                policy=PUBLIC,
                handle=as_json,
                operation=_JSON,
            ),
            Endpoint(method="GET", path="/docs", policy=PUBLIC, handle=as_page, operation=_PAGE),
        ]
