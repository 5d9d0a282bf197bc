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
from services.gateway.auth.standing import StandingKeeper
from services.gateway.clients import CONTRACT, Clients
from services.gateway.health import Dependencies
from services.gateway.http.endpoint import Endpoint
from services.gateway.intake.alert_calls import AlertCalls
from services.gateway.intake.samples import Producer
from services.gateway.intake.tally import Tally
from services.gateway.openapi import Comments, MessageSchemas, document, operation_of
from services.gateway.routes.analysis import AnalysisRoutes
from services.gateway.routes.api_keys import ApiKeyRoutes
from services.gateway.routes.audit import AuditRoutes
from services.gateway.routes.auth import AuthRoutes
from services.gateway.routes.browser import BrowserRoutes
from services.gateway.routes.console import ConsoleRoutes
from services.gateway.routes.docs import DocsRoutes
from services.gateway.routes.events import EventRoutes
from services.gateway.routes.health import HealthRoutes
from services.gateway.routes.intake import IntakeRoutes
from services.gateway.routes.otlp import OtlpRoutes
from services.gateway.routes.remote_write import RemoteWriteRoutes
from services.gateway.routes.users import UserRoutes
from services.gateway.store import Stores
from services.gateway.transcoding import Transcoder, bindings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the endpoints work with.

    Attributes:
        has_metrics: Whether /metrics is served beside the API, not on a port of its own.
    """

    stores: Stores
    clients: Clients
    sessions: Sessions
    passwords: Passwords
    keeper: StandingKeeper
    dependencies: Dependencies
    clock: Clock
    drain: Drain
    has_metrics: bool
    max_body_bytes: int


def all_endpoints(parts: Parts) -> list[Endpoint]:
    """Hand-written, transcoded, and the documents about both."""
    comments = Comments.of_contract()
    schemas = MessageSchemas(comments)
    served = [*_written(parts), *_transcoded(parts, schemas, comments)]
    described = document(served, schemas, version=version("sensus"))
    console = ConsoleRoutes()
    docs = DocsRoutes(described, console.page("/"))
    return [*served, *docs.endpoints(), *console.endpoints()]


def _written(parts: Parts) -> list[Endpoint]:
    tally = Tally(parts.clock)
    events = EventRoutes(
        clients=parts.clients, drain=parts.drain, policies=policies(CONTRACT.values())
    )
    return [
        *_intake(parts, tally).endpoints(),
        *events.endpoints(),
        *OtlpRoutes(clients=parts.clients).endpoints(),
        *RemoteWriteRoutes(clients=parts.clients, tally=tally).endpoints(),
        *AnalysisRoutes(clients=parts.clients).endpoints(),
        *AuthRoutes(sessions=parts.sessions).endpoints(),
        *BrowserRoutes(sessions=parts.sessions).endpoints(),
        *UserRoutes(
            accounts=parts.stores.accounts, passwords=parts.passwords, keeper=parts.keeper
        ).endpoints(),
        *ApiKeyRoutes(api_keys=parts.stores.api_keys, keeper=parts.keeper).endpoints(),
        *AuditRoutes(audit=parts.stores.audit).endpoints(),
        *HealthRoutes(
            dependencies=parts.dependencies, tally=tally, has_metrics=parts.has_metrics
        ).endpoints(),
    ]


def _intake(parts: Parts, tally: Tally) -> IntakeRoutes:
    return IntakeRoutes(
        clients=parts.clients,
        alert_calls=AlertCalls(parts.clients),
        producer=Producer(f"{socket.gethostname()[:64]}-{secrets.token_hex(4)}"),
        keys=parts.stores.idempotency,
        tally=tally,
        clock=parts.clock,
        max_bytes=parts.max_body_bytes,
    )


def _transcoded(parts: Parts, schemas: MessageSchemas, comments: Comments) -> list[Endpoint]:
    files = CONTRACT.values()
    transcoder = Transcoder(clients=parts.clients, drain=parts.drain)
    return [
        transcoder.endpoint(binding, operation_of(binding, schemas, comments))
        for binding in bindings(files, policies(files))
    ]
