"""The gateway put together: opened in order, closed in reverse."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from mesh import migrations
from mesh.auth import TokenMinter, TokenVerifier
from mesh.auth.identity import USER_ISSUER
from mesh.clock import Clock, SystemClock
from mesh.drain import Drain
from mesh.postgres import open_pool
from mesh.streams import open_redis
from services.gateway.app import Guards, build_app
from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.sessions import Sessions
from services.gateway.clients import open_clients
from services.gateway.config import Config
from services.gateway.endpoints import Parts, all_endpoints
from services.gateway.health import Surroundings
from services.gateway.http.endpoint import Endpoint
from services.gateway.store import Stores
from services.gateway.store.rate_limiter import RateLimiter
from services.gateway.upkeep.housekeeping import bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that is ready to be served."""

    app: ASGIApp
    endpoints: list[Endpoint]
    surroundings: Surroundings
    stores: Stores
    drain: Drain


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
        surroundings = Surroundings(pool=pool, redis=redis, clients=clients)
        await surroundings.begin()
        parts = Parts(
            stores=stores,
            clients=clients,
            sessions=_sessions(stores, passwords, minter, config),
            passwords=passwords,
            surroundings=surroundings,
            clock=clock,
            drain=drain,
        )
        endpoints = all_endpoints(parts)
        guards = Guards(
            authenticator=_authenticator(stores, verifier, clock, config),
            limiter=RateLimiter(redis, clock, _installation(config)),
        )
        yield Gateway(
            app=build_app(endpoints, guards, config),
            endpoints=endpoints,
            surroundings=surroundings,
            stores=stores,
            drain=drain,
        )


def _sessions(
    stores: Stores, passwords: Passwords, minter: TokenMinter, config: Config
) -> Sessions:
    return Sessions(
        accounts=stores.accounts,
        attempts=stores.attempts,
        refresh_tokens=stores.refresh_tokens,
        passwords=passwords,
        minter=minter,
        access_ttl_s=config.access_token_ttl_s,
        refresh_ttl_s=config.refresh_token_ttl_s,
    )


def _authenticator(
    stores: Stores, verifier: TokenVerifier, clock: Clock, config: Config
) -> Authenticator:
    return Authenticator(
        verifier,
        stores.accounts,
        stores.api_keys,
        clock=clock,
        key_requests_per_minute=config.rate_api_key,
    )


def _installation(config: Config) -> str:
    """The same for all gateways that trust the same keys, and for no others."""
    return hashlib.blake2b(config.auth_jwks_file.read_bytes(), digest_size=6).hexdigest()
