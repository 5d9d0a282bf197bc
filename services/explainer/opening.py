"""Parts of the service that take several settings: the writer and the sources."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mesh.config import named_secret
from mesh.streams import open_redis
from services.explainer.clients import DetectorClient, IngestClient
from services.explainer.config import Config
from services.explainer.evidence.gathering import Sources
from services.explainer.llm.cache import AnswerCache
from services.explainer.llm.providers import Reaching, open_providers
from services.explainer.llm.specs import endpoints_of
from services.explainer.sources import (
    MovedSeries,
    NearbyAlerts,
    NearbyAnomalies,
    NearbyChanges,
    PastIncidents,
    SubjectSeries,
    ToldCalls,
)
from services.explainer.store import Context, Incidents
from services.explainer.wording.writer import Writer


@asynccontextmanager
async def open_writer(config: Config) -> AsyncIterator[Writer]:
    """What asks the configured language models, and keeps their answers.

    Raises:
        ConfigError: A language model is not named as it should be.
    """
    hosts = frozenset(host.lower() for host in config.llm_private_hosts)
    endpoints = endpoints_of(config.llm_providers, private_hosts=hosts, secret=named_secret)
    reaching = Reaching(
        connect_s=config.llm_connect_timeout_s,
        idle_s=config.llm_idle_timeout_s,
        private_hosts=hosts,
    )
    async with (
        open_redis(config.redis_url) as redis,
        open_providers(endpoints, reaching) as providers,
    ):
        yield Writer(
            providers,
            within_s=config.llm_timeout_s,
            at_once=config.llm_at_once,
            answers=AnswerCache(redis),
        )


def sources_of(
    config: Config,
    ingest: IngestClient,
    detector: DetectorClient,
    context: Context,
    incidents: Incidents,
) -> Sources:
    """Every source of evidence."""
    reach = config.reach
    return Sources(
        subject=SubjectSeries(ingest=ingest, reach=reach),
        nearby=(
            NearbyAnomalies(detector=detector, reach=reach),
            NearbyAlerts(ingest=ingest, reach=reach),
        ),
        moved=MovedSeries(ingest=ingest, detector=detector, reach=reach),
        told=(
            NearbyChanges(context=context, reach=reach),
            ToldCalls(context=context),
            PastIncidents(incidents=incidents),
        ),
    )
