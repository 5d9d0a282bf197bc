"""All that the gateway offers, in one list: routes, guards and the OpenAPI come from it."""

import secrets
import socket
from dataclasses import dataclass
from importlib.metadata import version

from mesh.auth import policies
from mesh.clock import Clock
from mesh.drain import Drain
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.sessions import Sessions
from services.gateway.clients import CONTRACT, Clients
from services.gateway.health import Surroundings
from services.gateway.http.endpoint import Endpoint
from services.gateway.intake import Producer
from services.gateway.openapi import Comments, MessageSchemas, document, operation_of
from services.gateway.routes.analysis import AnalysisRoutes
from services.gateway.routes.api_keys import ApiKeyRoutes
from services.gateway.routes.audit import AuditRoutes
from services.gateway.routes.auth import AuthRoutes
from services.gateway.routes.docs import DocsRoutes
from services.gateway.routes.health import HealthRoutes
from services.gateway.routes.intake import IntakeRoutes
from services.gateway.routes.users import UserRoutes
from services.gateway.store import Stores
from services.gateway.transcoding import Transcoder, bindings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the endpoints work with."""

    stores: Stores
    clients: Clients
    sessions: Sessions
    passwords: Passwords
    surroundings: Surroundings
    clock: Clock
    drain: Drain


def all_endpoints(parts: Parts) -> list[Endpoint]:
    """Hand-written, transcoded, and the documents about both."""
    comments = Comments.of_contract()
    schemas = MessageSchemas(comments)
    served = [*_written(parts), *_transcoded(parts, schemas, comments)]
    described = document(served, schemas, version=version("sensus"))
    return [*served, *DocsRoutes(described).endpoints()]


def _written(parts: Parts) -> list[Endpoint]:
    producer = Producer(f"{socket.gethostname()[:64]}-{secrets.token_hex(4)}")
    return [
        *IntakeRoutes(clients=parts.clients, producer=producer, clock=parts.clock).endpoints(),
        *AnalysisRoutes(clients=parts.clients).endpoints(),
        *AuthRoutes(sessions=parts.sessions).endpoints(),
        *UserRoutes(accounts=parts.stores.accounts, passwords=parts.passwords).endpoints(),
        *ApiKeyRoutes(api_keys=parts.stores.api_keys).endpoints(),
        *AuditRoutes(audit=parts.stores.audit).endpoints(),
        *HealthRoutes(surroundings=parts.surroundings).endpoints(),
    ]


def _transcoded(parts: Parts, schemas: MessageSchemas, comments: Comments) -> list[Endpoint]:
    files = CONTRACT.values()
    transcoder = Transcoder(
        clients=parts.clients, drain=parts.drain, audit=parts.stores.audit.append
    )
    return [
        transcoder.endpoint(binding, operation_of(binding, schemas, comments))
        for binding in bindings(files, policies(files))
    ]
