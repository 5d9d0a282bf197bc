"""What an explainer does beside answering: its parts, put together."""

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import grpc
import httpx

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.serving import Worker
from sensus.detector.v1 import detector_service_pb2_grpc
from sensus.ingest.v1 import ingest_service_pb2_grpc
from services.explainer.clients import DetectorClient, IngestClient
from services.explainer.config import ExplainerConfig
from services.explainer.consumer import AlertConsumer, AnomalyConsumer
from services.explainer.gathering import Sources
from services.explainer.jobs import Jobs
from services.explainer.pipeline import Pipeline
from services.explainer.rankers import rank
from services.explainer.servicer import ExplainerServicer
from services.explainer.sources import MovedSeries, NearbyAlerts, NearbyAnomalies, SubjectSeries
from services.explainer.store import Claims, Cursors, Frames, Records
from services.explainer.subjects import Subjects
from services.explainer.wording.providers import providers_of
from services.explainer.wording.writer import Writer

if TYPE_CHECKING:
    from mesh.postgres import Pool

INGEST: Final = "sensus.ingest.v1.IngestService"
DETECTOR: Final = "sensus.detector.v1.DetectorService"

_CONNECT_WITHIN_S: Final = 3.0


class Work:
    """Owns the jobs and the client of the language models; left after the workers have ended."""

    def __init__(
        self,
        config: ExplainerConfig,
        pool: "Pool",
        ingest: grpc.aio.Channel,
        detector: grpc.aio.Channel,
        clock: Clock,
        drain: Drain,
    ) -> None:
        """Nothing runs yet.

        Raises:
            ConfigError: A language model is not named as it should be.
        """
        self.settings = config
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(config.llm_idle_timeout_s, connect=_CONNECT_WITHIN_S),
            follow_redirects=False,
            trust_env=False,
        )
        records = Records(pool)
        to_ingest, to_detector = IngestClient(ingest), DetectorClient(detector)
        self.jobs = Jobs(
            claims=Claims(pool, lease_s=config.job_lease_s),
            records=records,
            frames=Frames(pool),
            subjects=Subjects(to_ingest, to_detector),
            work=self._pipeline(config, to_ingest, to_detector),
            clock=clock,
            drain=drain,
            limits=config.limits,
        )
        self.alerts = AlertConsumer(
            ingest_service_pb2_grpc.IngestServiceStub(ingest),
            self.jobs,
            consumer_id=config.consumer,
            at_once=config.explain_at_once,
            ack_deadline_s=config.ack_deadline_s,
            drain=drain,
        )
        self.anomalies = AnomalyConsumer(
            detector_service_pb2_grpc.DetectorServiceStub(detector),
            self.jobs,
            Cursors(pool, lease_s=2 * config.job_lease_s),
            min_severity=config.explain_anomalies_min_severity,
            at_once=config.explain_at_once,
            drain=drain,
        )
        self.servicer = ExplainerServicer(self.jobs, records)

    @property
    def workers(self) -> Mapping[str, Worker]:
        """What runs for ever, by name."""
        return {
            "jobs": self.jobs.keep,
            "alerts": self.alerts.run,
            "anomalies": self.anomalies.run,
        }

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops running jobs and their language model calls; others take them over."""
        await self.jobs.close()
        await self._http.aclose()

    def _pipeline(
        self, config: ExplainerConfig, ingest: IngestClient, detector: DetectorClient
    ) -> Pipeline:
        reach = config.reach
        sources = Sources(
            subject=SubjectSeries(ingest=ingest, reach=reach),
            nearby=(
                NearbyAnomalies(detector=detector, reach=reach),
                NearbyAlerts(ingest=ingest, reach=reach),
            ),
            moved=MovedSeries(ingest=ingest, detector=detector, reach=reach),
        )
        return Pipeline(
            sources=sources,
            rank=rank,
            writer=Writer(
                providers_of(config.llm_providers, self._http),
                within_s=config.llm_timeout_s,
                at_once=config.llm_at_once,
            ),
            gather_within_s=config.gather_timeout_s,
            after_ms=reach.after_ms,
        )
