"""What the explainer is told by the environment, `SENSUS_EXPLAINER_*` before `SENSUS_*`."""

import os
import socket
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from mesh import ports
from mesh.config import SECRET, CommonConfig, Port, RedisUrl
from services.explainer.evidence.sources import ReadLimits
from services.explainer.explanations.stream import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(CommonConfig):
    """Settings of one explainer process."""

    redis_url: RedisUrl
    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")] = ports.EXPLAINER
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = (
        ports.METRICS_EXPLAINER
    )
    ingest_target: Annotated[str, Meta(description="ingest, host:port or dns:///name:port")] = (
        f"127.0.0.1:{ports.INGEST}"
    )
    detector_target: Annotated[str, Meta(description="detector, host:port or dns:///name:port")] = (
        f"127.0.0.1:{ports.DETECTOR}"
    )
    topology_target: Annotated[
        str,
        Meta(description="topology, host:port or dns:///name:port; empty: not asked for traces"),
    ] = ""
    trace_url: Annotated[
        str,
        Meta(
            description="Where a trace is shown, such as https://jaeger.example.com/trace/{trace_id}",
            pattern=r"\A(https?://[^\s{}]+\{trace_id\}[^\s{}]*)?\Z",
        ),
    ] = ""
    consumer_id: Annotated[
        str, Meta(description="Name at ingest, unique per replica; empty: host name and port")
    ] = ""
    explain_at_once: Annotated[
        int, Meta(ge=1, le=256, description="Alerts, and anomalies, explained unasked at a time")
    ] = 8
    explain_anomalies_min_severity: Annotated[
        Literal["none", "critical", "warning", "info"],
        Meta(description="Least severity of anomalies that are explained unasked; none for none"),
    ] = "warning"
    jobs_max: Annotated[
        int, Meta(ge=1, description="Explanations made at once; more are refused for now")
    ] = 64
    job_lease_s: Annotated[
        float, Meta(ge=1, description="Silence of a replica after which its work is taken over")
    ] = 15.0
    gather_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="Evidence that is not there by then is missing")
    ] = 4.0
    gather_series_max: Annotated[
        int, Meta(ge=1, le=20_000, description="Series read by one question to ingest")
    ] = 400
    gather_samples_max: Annotated[
        int, Meta(ge=16, description="Newest samples read of each series")
    ] = 1000
    llm_providers: Annotated[
        tuple[str, ...],
        Meta(
            description="kind:url/model;option=value, tried in order; see docs/explanation.md",
            extra=SECRET,  # a key may stand in it by mistake
        ),
    ] = ()
    llm_private_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Hosts of providers that may have a private address"),
    ] = ("localhost", "127.0.0.1", "::1")
    llm_connect_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="Longest wait for a connection to a provider")
    ] = 3.0
    like_window_s: Annotated[
        float, Meta(ge=0, le=3600, description="Like alerts that close together are worded once")
    ] = 300.0
    llm_timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="Longest wait for the whole text of one provider")
    ] = 60.0
    llm_idle_timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="Longest silence of a provider, the first included")
    ] = 30.0
    retention_days: Annotated[
        float, Meta(gt=0, description="Explanations, changes and outcomes are kept that long")
    ] = 90.0
    frame_retention_days: Annotated[
        float, Meta(gt=0, description="Steps of explanations are kept that long; results longer")
    ] = 7.0
    llm_at_once: Annotated[int, Meta(ge=1, description="Calls of language models at a time")] = 2

    @property
    def consumer(self) -> str:
        """The name at ingest."""
        return self.consumer_id or f"{socket.gethostname()}:{self.grpc_port or os.getpid()}"

    @property
    def ack_deadline_s(self) -> float:
        """Time until an unexplained alert comes again: longer than the longest explanation."""
        return min(3600.0, 60.0 + self.llm_timeout_s * max(1, len(self.llm_providers)))

    @property
    def limits(self) -> Limits:
        """The part that the jobs need."""
        return Limits(running_max=self.jobs_max, lease_s=self.job_lease_s)

    @property
    def reach(self) -> ReadLimits:
        """The part that the sources need."""
        return ReadLimits(series_max=self.gather_series_max, samples_max=self.gather_samples_max)
