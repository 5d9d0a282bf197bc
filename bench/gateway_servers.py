"""Servers that take Alertmanager's webhook and commit nothing, for `bench/gateway.py`.

`ours` is the gateway as it runs, with real PostgreSQL and Redis, authentication, limits, log and
metrics, with traces as far as no exporter is set; the one thing missing is the call to ingest,
which is answered at once. `bare` is its endpoint alone: body, parse, the message for ingest, the
answer, behind the same bounds of a connection. `fastapi` parses, validates and answers with
pydantic, and makes the message for ingest of what came, as one writes that by hand; `fastapi_door`
also finds out who calls, with our check of the token, and writes our headers, a log line and a
duration. All of them stand on uvicorn, httptools and uvloop.

    python -m bench.gateway_servers KIND DIRECTORY      prints its port, then a token
"""

import asyncio
import logging
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
import uvloop
from opentelemetry import trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh.auth import Principal, TokenMinter, TokenVerifier, generate_key_files
from mesh.auth.identity import USER_ISSUER
from mesh.errors import SensusError
from mesh.migrations import migrate
from mesh.telemetry.logs import configure_logs
from mesh.telemetry.tracing import UnexportedTraces
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from services.gateway.auth.roles import SCOPES_BY_ROLE
from services.gateway.clients import Clients
from services.gateway.config import Config
from services.gateway.http.routing import Routes
from services.gateway.http.server import HttpServer
from services.gateway.metrics import REQUEST_DURATION
from services.gateway.middleware import security_headers
from services.gateway.model import Caller
from services.gateway.wiring import Gateway, open_gateway

MIGRATIONS = Path(__file__).parents[1] / "migrations"


async def ours(directory: Path, *, only_endpoint: bool = False) -> None:
    """The gateway, its stores in `directory`."""
    trace.set_tracer_provider(UnexportedTraces())
    configure_logs("gateway", "INFO", "json")
    generate_key_files(directory, ("gateway",))
    async with (
        EmbeddedPostgres(directory / "pg") as postgres,
        EmbeddedRedis(directory / "r") as redis,
    ):
        await migrate(postgres.dsn, ["gateway"], MIGRATIONS)
        config = Config(
            postgres_dsn=postgres.dsn,
            redis_url=redis.url,
            auth_jwks_file=directory / "jwks.json",
            auth_key_file=directory / "gateway.pem",
            http_port=0,
            rate_alerts=10_000_000,
        )
        Clients.unary = committed_at_once  # type: ignore[method-assign]
        async with open_gateway(config) as gateway:
            server = HttpServer(
                endpoint_of(gateway) if only_endpoint else gateway.app,
                host="127.0.0.1",
                port=0,
                admission=gateway.admission,
                drain=gateway.drain,
                leave=gateway.dependencies.leave,
            )
            port = await server.start()
            minter = TokenMinter.from_file(config.auth_key_file, "gateway")
            announce(port, minter.mint("user:admin", SCOPES_BY_ROLE["admin"], 3600))
            await gateway.workers["standing"]()


async def bare(directory: Path) -> None:
    """The endpoint of alerts without what stands around it."""
    await ours(directory, only_endpoint=True)


def endpoint_of(gateway: Gateway) -> ASGIApp:
    """Answers every request with the endpoint of alerts, for a caller who is not looked at."""
    routes = Routes(gateway.endpoints)
    admin = Principal(subject="user:admin", scopes=frozenset(), issuer=USER_ISSUER)
    caller = Caller(address="", principal=admin)
    endpoint = routes.match("POST", "/api/v1/alerts").endpoint
    assert endpoint is not None

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["sensus.caller"] = caller
        response = await endpoint.handle(Request(scope, receive, send))
        await response(scope, receive, send)

    return answer


async def committed_at_once(self: Clients, method: Any, request: Any, *_: Any, **__: Any) -> Any:
    """What ingest would answer after the commit."""
    ids = [str(place) for place in range(len(request.alerts))]
    return ingest_pb2.WriteAlertsResponse(accepted=len(ids), alert_ids=ids)


async def fastapi(_: Path) -> None:
    """The usual way to write the endpoint, and nothing around it."""
    await served_by_uvicorn(webhook_app(), "none")


async def fastapi_door(directory: Path) -> None:
    """The same, with what stands around ours: who calls, headers, a log line, a measurement.

    The check of the token is ours too, with what it remembers. Limits, deadlines and traces are
    left out, so this does less than `ours`.
    """
    from fastapi import Depends, HTTPException
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

    configure_logs("gateway", "INFO", "json")
    generate_key_files(directory, ("gateway",))
    verifier = TokenVerifier.from_file(directory / "jwks.json")
    bearer = HTTPBearer()

    async def caller(
        sent: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
    ) -> Principal:
        try:
            return verifier.verify(sent.credentials)
        except SensusError as error:
            raise HTTPException(401, error.message) from error

    minter = TokenMinter.from_file(directory / "gateway.pem", "gateway")
    token = minter.mint("user:admin", SCOPES_BY_ROLE["admin"], 3600)
    await served_by_uvicorn(around(webhook_app([Depends(caller)])), token)


def webhook_app(dependencies: Sequence[Any] = ()) -> ASGIApp:
    """FastAPI with the webhook: what `bare` reads, parsed and validated by pydantic."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Alert(BaseModel):
        labels: dict[str, str]
        annotations: dict[str, str] = {}
        status: Literal["firing", "resolved"] | None = None
        startsAt: datetime  # noqa: N815
        endsAt: datetime | None = None  # noqa: N815
        generatorURL: str = ""  # noqa: N815

    class Webhook(BaseModel):
        version: Literal["4"]
        alerts: list[Alert]

    class Taken(BaseModel):
        accepted: int
        duplicates: int
        errors: list[str]
        alertIds: list[str]  # noqa: N815

    app = FastAPI()

    states = {
        None: alert_pb2.ALERT_STATE_UNSPECIFIED,
        "firing": alert_pb2.ALERT_STATE_FIRING,
        "resolved": alert_pb2.ALERT_STATE_RESOLVED,
    }

    def labels(texts: dict[str, str]) -> list[series_pb2.Label]:
        return [series_pb2.Label(name=name, value=text) for name, text in texts.items() if text]

    def message_of(sent: Alert) -> alert_pb2.Alert:
        alert = alert_pb2.Alert(
            labels=labels(sent.labels),
            annotations=labels(sent.annotations),
            state=states[sent.status],
            generator_url=sent.generatorURL,
        )
        alert.start_time.FromDatetime(sent.startsAt)
        if sent.endsAt is not None and sent.endsAt.year > 1:
            alert.end_time.FromDatetime(sent.endsAt)
        return alert

    async def take(webhook: Webhook) -> Taken:
        request = ingest_pb2.WriteAlertsRequest(alerts=map(message_of, webhook.alerts))
        ids = [str(place) for place in range(len(request.alerts))]
        return Taken(accepted=len(ids), duplicates=0, errors=[], alertIds=ids)

    app.add_api_route("/api/v1/alerts", take, methods=["POST"], dependencies=list(dependencies))
    asgi: ASGIApp = app
    return asgi


def around(app: ASGIApp) -> ASGIApp:
    """An ASGI middleware as one writes it by hand: an id, headers, a line and a duration."""
    logger = logging.getLogger("bench.access")

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        began_s, seen = time.perf_counter(), {"status": 0}
        sent = Headers(scope=scope).get("x-correlation-id")
        correlation_id = sent or uuid.uuid4().hex

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                headers["X-Correlation-ID"] = correlation_id
                headers["X-Process-Time"] = f"{time.perf_counter() - began_s:.6f}"
                for name, value in security_headers.PRIVATE:
                    headers[name.decode()] = value.decode()
            await send(message)

        await app(scope, receive, noted)
        spent_s = time.perf_counter() - began_s
        status = str(seen["status"])
        REQUEST_DURATION.labels(scope["method"], scope["path"], status).observe(spent_s)
        logger.info("request", extra={"path": scope["path"], "status": status, "took_s": spent_s})

    return answer


async def served_by_uvicorn(app: ASGIApp, token: str) -> None:
    """As fast as uvicorn is: httptools, uvloop, no log of its own."""
    config = uvicorn.Config(app, port=0, http="httptools", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    announce(server.servers[0].sockets[0].getsockname()[1], token)
    await serving


def announce(port: int, token: str) -> None:
    """Two lines for the bench."""
    sys.stdout.write(f"{port}\n{token}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.disable(logging.DEBUG)
    kinds = {"ours": ours, "bare": bare, "fastapi": fastapi, "fastapi_door": fastapi_door}
    uvloop.run(kinds[sys.argv[1]](Path(sys.argv[2])))
