"""The gateway put together: opened in order, closed in reverse."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.types import ASGIApp

from mesh import migrations
from mesh.auth import Standings, TokenMinter, TokenVerifier, policies
from mesh.auth.identity import USER_ISSUER
from mesh.clock import Clock, SystemClock
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.postgres import open_pool
from mesh.redis import open_redis
from mesh.serving import Server, Worker
from sensus.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from services.gateway.app import Guards, build_app
from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.budget import AddressBudget
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.sessions import Sessions
from services.gateway.auth.standing import StandingKeeper
from services.gateway.clients import open_clients
from services.gateway.config import Config
from services.gateway.endpoints import Parts, all_endpoints
from services.gateway.health import Dependencies
from services.gateway.http.admission import Admission
from services.gateway.http.endpoint import Endpoint
from services.gateway.http.server import raise_file_limit
from services.gateway.servicer import FULL_NAME, IdentityServicer
from services.gateway.store import Stores
from services.gateway.store.rate_limiter import RateLimiter
from services.gateway.upkeep.housekeeping import bootstrap, purge

LOGIN_BURST: Final = 60
LOGINS_PER_S: Final = 5.0
"""Passwords and refresh tokens that one address may send."""
PROOF_BURST: Final = 200
PROOFS_PER_S: Final = 20.0
"""Tokens that were not seen before, and wrong keys, that one address may send."""

_OTHER_FILES: Final = 256
"""Channels, pools, logs, and connections beyond the limits for probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that is ready to be served: `app` to people, `identity` to the other services."""

    app: ASGIApp
    identity: Server
    endpoints: list[Endpoint]
    dependencies: Dependencies
    stores: Stores
    keeper: StandingKeeper
    drain: Drain
    admission: Admission
    workers: Mapping[str, Worker]


@asynccontextmanager
async def open_gateway(
    config: Config, passwords: Passwords | None = None
) -> AsyncIterator[Gateway]:
    """Connects to everything, makes the first user if there is none, and builds the application.

    Raises:
        MigrationError: The schema `gateway` is behind.
    """
    clock, drain, passwords = SystemClock(), Drain(), passwords or Passwords()
    minter = TokenMinter.from_file(config.auth_key_file, USER_ISSUER)
    verifier = TokenVerifier.from_file(config.auth_jwks_file)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(config.postgres_dsn, application_name="sensus-gateway")
        )
        await migrations.check(pool, "gateway")
        redis = await stack.enter_async_context(open_redis(config.redis_url))
        clients = await stack.enter_async_context(open_clients(config, minter))
        stores = Stores.of(pool)
        await bootstrap(stores, passwords, config.bootstrap_admin_password)
        standings = Standings(clock, grace_s=config.standing_grace_s)
        keeper = StandingKeeper(
            store=stores.standing, standings=standings, clock=clock, drain=drain
        )
        await keeper.refresh()
        dependencies = Dependencies(pool=pool, redis=redis, clients=clients, standings=standings)
        await dependencies.begin()
        parts = Parts(
            stores=stores,
            clients=clients,
            sessions=_sessions(stores, keeper, passwords, minter, verifier, clock, config),
            passwords=passwords,
            keeper=keeper,
            dependencies=dependencies,
            clock=clock,
            drain=drain,
            has_metrics=not config.metrics_port,
            max_body_bytes=config.max_body_bytes,
        )
        endpoints = all_endpoints(parts)
        guards = Guards(
            authenticator=_authenticator(keeper, verifier, clock, config),
            limiter=RateLimiter(redis, clock, _installation(config)),
        )
        yield Gateway(
            app=build_app(endpoints, guards, config),
            identity=await _identity(config, verifier, keeper, stores, clock, drain),
            endpoints=endpoints,
            dependencies=dependencies,
            stores=stores,
            keeper=keeper,
            drain=drain,
            admission=_admission(config),
            workers={
                "health": dependencies.health.watch,
                "purge": partial(purge, stores),
                "standing": keeper.run,
            },
        )


async def _identity(
    config: Config,
    verifier: TokenVerifier,
    keeper: StandingKeeper,
    stores: Stores,
    clock: Clock,
    drain: Drain,
) -> Server:
    health = Health([FULL_NAME])
    await health.add_check("standing", keeper.standings.probe)
    server = Server(
        service="gateway",
        host=config.listen_host,
        port=config.grpc_port,
        interceptors=server_interceptors(
            verifier=verifier,
            policies=policies([identity_service_pb2.DESCRIPTOR]),
            standings=keeper.standings,
        ),
        health=health,
        drain=drain,
        tls=config,
    )
    servicer = IdentityServicer(keeper, stores.audit, clock)
    identity_service_pb2_grpc.add_IdentityServiceServicer_to_server(servicer, server.grpc)
    return server


def _sessions(
    stores: Stores,
    keeper: StandingKeeper,
    passwords: Passwords,
    minter: TokenMinter,
    verifier: TokenVerifier,
    clock: Clock,
    config: Config,
) -> Sessions:
    return Sessions(
        accounts=stores.accounts,
        attempts=stores.attempts,
        login_links=stores.login_links,
        refresh_tokens=stores.refresh_tokens,
        standing=stores.standing,
        keeper=keeper,
        passwords=passwords,
        budget=AddressBudget(clock, burst=LOGIN_BURST, per_s=LOGINS_PER_S),
        minter=minter,
        verifier=verifier,
        access_ttl_s=config.access_token_ttl_s,
        refresh_ttl_s=config.refresh_token_ttl_s,
    )


def _admission(config: Config) -> Admission:
    """As many connections as are configured, or as the process may hold."""
    files = raise_file_limit(config.max_connections + _OTHER_FILES)
    return Admission(
        most=max(1, min(config.max_connections, files - _OTHER_FILES)),
        most_per_address=config.max_connections_per_address,
        proxies=config.proxy_networks,
    )


def _authenticator(
    keeper: StandingKeeper, verifier: TokenVerifier, clock: Clock, config: Config
) -> Authenticator:
    return Authenticator(
        verifier,
        keeper,
        budget=AddressBudget(clock, burst=PROOF_BURST, per_s=PROOFS_PER_S),
        key_requests_per_minute=config.rate_api_key,
    )


def _installation(config: Config) -> str:
    """The same for all gateways that trust the same keys, and for no others."""
    return hashlib.blake2b(config.auth_jwks_file.read_bytes(), digest_size=6).hexdigest()
