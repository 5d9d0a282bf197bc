"""Endpoints into one OpenAPI 3.1 document."""

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from google.protobuf.descriptor import Descriptor

from mesh.auth import PUBLIC
from services.gateway.http.endpoint import Endpoint, Operation
from services.gateway.http.problems import JSON
from services.gateway.openapi.schemas import REF, MessageSchemas

_INTRODUCTION: Final = (
    "Metrics and alerts in, anomalies and explanations out. Everything under /api/v1 needs a token "
    "(`POST /api/v1/auth/token`) or an API key. Errors have one shape, that of AIP-193. "
    "64-bit integers are strings, as in the JSON of protobuf."
)
_ERROR_SCHEMA: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status"},
                "status": {"type": "string", "description": "The gRPC code, NOT_FOUND for example"},
                "message": {"type": "string", "description": "What to change"},
                "details": {
                    "type": "array",
                    "description": "google.rpc.ErrorInfo always; BadRequest, RetryInfo and "
                    "ResourceInfo where they apply",
                    "items": {"type": "object"},
                },
            },
        }
    },
}
_ERROR: Final = {
    "description": "An error",
    "content": {JSON: {"schema": {"$ref": f"{REF}Error"}}},
}
_SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token or API key"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {"type": "http", "scheme": "basic", "description": "Only for log-in"},
}


def document(
    endpoints: Sequence[Endpoint], schemas: MessageSchemas, *, version: str
) -> dict[str, Any]:
    """The document of these endpoints. `schemas` is filled with what they mention.

    An operation whose name another service has too is named with its service.
    """
    typed, components = _typed_schemas(endpoints)
    named = Counter(endpoint.operation.name for endpoint in endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = paths.setdefault(endpoint.shown_path or endpoint.path, {})
        shown = path[endpoint.method.lower()] = _operation(endpoint, schemas, typed)
        if named[endpoint.operation.name] > 1:
            shown["operationId"] = f"{endpoint.operation.tag}_{endpoint.operation.name}"
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sensus", "version": version, "description": _INTRODUCTION},
        "paths": paths,
        "components": {
            "schemas": components | schemas.by_name | {"Error": _ERROR_SCHEMA},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation(
    endpoint: Endpoint, schemas: MessageSchemas, typed: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    said = endpoint.operation
    shown: dict[str, Any] = {
        "operationId": said.name,
        "tags": [said.tag],
        "summary": said.summary,
        "parameters": list(said.parameters),
        "responses": {
            str(said.status): _answer(said, schemas, typed),
            "default": _ERROR,
        },
        "security": _security(endpoint),
    }
    if said.description:
        shown["description"] = said.description
    if said.body is not None:
        content = {said.body_media_type: {"schema": _sent(said, schemas, typed)}}
        shown["requestBody"] = {"required": said.is_body_required, "content": content}
    if endpoint.policy != PUBLIC:
        shown["x-sensus-any-of"] = sorted(endpoint.policy.any_of)
    return shown


def _answer(
    said: Operation, schemas: MessageSchemas, typed: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(said.status).phrase}
    if said.answer is None:
        return answer
    schema = _schema(said.answer, schemas, typed)
    streams = ("text/event-stream", "application/x-ndjson") if said.is_stream else ()
    whole = () if said.is_stream and not said.is_finite else (said.media_type,)
    types = (*whole, *streams)
    return answer | {"content": {media_type: {"schema": schema} for media_type in types}}


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    if endpoint.operation.name == "CreateToken":
        return [{"basic": []}]
    return [] if endpoint.policy == PUBLIC else [{"bearer": []}, {"apiKey": []}]


def _sent(
    said: Operation, schemas: MessageSchemas, typed: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    if not isinstance(said.body, Descriptor):
        return typed[id(said.body)]
    schemas.given_elsewhere(said.body, said.in_path)
    return schemas.ref(said.body, is_input=True)


def _schema(type: Any, schemas: MessageSchemas, typed: dict[int, dict[str, Any]]) -> dict[str, Any]:
    return schemas.ref(type) if isinstance(type, Descriptor) else typed[id(type)]


def _typed_schemas(
    endpoints: Sequence[Endpoint],
) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """Schemas of hand-written types, by identity, and the components they refer to."""
    types = [
        type
        for endpoint in endpoints
        for type in (endpoint.operation.body, endpoint.operation.answer)
        if type is not None and not isinstance(type, Descriptor)
    ]
    shown, components = msgspec.json.schema_components(types, ref_template=REF + "{name}")
    return {id(type): schema for type, schema in zip(types, shown, strict=True)}, components
