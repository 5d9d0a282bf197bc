"""Providers that are ready to be asked, each over connections of its own."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from mesh.outbound import GuardedTransport, Resolve
from services.explainer.llm.ollama import Ollama
from services.explainer.llm.openai import OpenAI
from services.explainer.llm.provider import Endpoint, Provider

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How servers are reached.

    Attributes:
        connect_s: Longest wait for a name and for a connection.
        idle_s: Longest silence, the first included.
        private_hosts: Hosts that may have a private address.
        resolve: Finds addresses; the machine's resolver by default.
    """

    connect_s: float
    idle_s: float
    private_hosts: frozenset[str]
    resolve: Resolve | None = None


@asynccontextmanager
async def open_providers(
    endpoints: Sequence[Endpoint], reaching: ConnectionLimits
) -> AsyncIterator[tuple[Provider, ...]]:
    """The providers in the order given; redirects and proxies of the environment are not used."""
    async with AsyncExitStack() as stack:
        found = []
        for endpoint in endpoints:
            http = await stack.enter_async_context(_client(reaching))
            found.append(_provider(endpoint, http))
        if endpoints:
            short = [_in_short(each) for each in endpoints]
            logger.info("language models", extra={"providers": short})
        yield tuple(found)


def _in_short(endpoint: Endpoint) -> str:
    """Kind, host and model, for the log."""
    return f"{endpoint.kind} {urlsplit(endpoint.base_url).netloc} {endpoint.model}"


def _provider(endpoint: Endpoint, http: httpx.AsyncClient) -> Provider:
    if endpoint.kind == "openai":
        return OpenAI(http=http, endpoint=endpoint)
    return Ollama(http=http, endpoint=endpoint)


def _client(reaching: ConnectionLimits) -> httpx.AsyncClient:
    transport = GuardedTransport(
        httpx.AsyncHTTPTransport(trust_env=False),
        private_hosts=reaching.private_hosts,
        within_s=reaching.connect_s,
        resolve=reaching.resolve,
    )
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(reaching.idle_s, connect=reaching.connect_s),
        follow_redirects=False,
        trust_env=False,
    )
