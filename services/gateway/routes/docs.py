"""/, /openapi.json and /docs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC
from services.gateway.http.endpoint import Endpoint, Handle, Operation
from services.gateway.http.problems import JSON
from services.gateway.openapi.page import CONTENT_SECURITY_POLICY, page


class Index(msgspec.Struct, kw_only=True):
    """Where everything is."""

    name: str
    version: str
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    health: str = "/health"


_INDEX: Final = Operation(
    tag="Operation",
    name="GetIndex",
    summary="Where everything is; browsers get the console",
    answer=Index,
)
_JSON: Final = Operation(tag="Operation", name="GetOpenApi", summary="This document")
_PAGE: Final = Operation(tag="Operation", name="GetDocs", summary="This document for people")
_BY_ACCEPT: Final = {"Vary": "Accept"}
_PAGE_HEADERS: Final[Mapping[str, str]] = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}


@dataclass(frozen=True, slots=True)
class DocsRoutes:
    """The document, encoded once.

    Attributes:
        home: What browsers get at `/`.
    """

    document: dict[str, Any]
    home: Handle

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        body = msgspec.json.encode(self.document)
        html = _html(body)
        info = self.document["info"]
        home = self.home
        index = msgspec.json.encode(Index(name=info["title"], version=info["version"]))

        async def as_index(request: Request) -> Response:
            if "text/html" in request.headers.get("accept", ""):
                return await home(request)
            return Response(index, media_type=JSON, headers=_BY_ACCEPT)

        async def as_json(request: Request) -> Response:
            return Response(body, media_type=JSON)

        async def as_page(request: Request) -> Response:
            return Response(html, media_type="text/html", headers=_PAGE_HEADERS)

        return [
            Endpoint(
                method="GET",
                path="/",
                policy=PUBLIC,
                handle=as_index,
                operation=_INDEX,
                rate=None,
            ),
            Endpoint(
                method="GET",
                path="/openapi.json",
                policy=PUBLIC,
                handle=as_json,
                operation=_JSON,
                rate=None,
            ),
            Endpoint(
                method="GET",
                path="/docs",
                policy=PUBLIC,
                handle=as_page,
                operation=_PAGE,
                rate=None,
            ),
        ]


@lru_cache(2)
def _html(document: bytes) -> str:
    """The page of an encoded document."""
    return page(msgspec.json.decode(document))
