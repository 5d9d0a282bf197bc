"""Settings of incidents from the environment, `SENSUS_INCIDENTS_*` before `SENSUS_*`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from mesh import ports
from mesh.config import CommonConfig, Port
from services.incidents.lifecycle.times import Times
from services.incidents.model.change import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(CommonConfig):
    """Settings of one process."""

    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")] = ports.INCIDENTS
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = (
        ports.METRICS_INCIDENTS
    )
    ingest_target: Annotated[str, Meta(description="ingest, host:port or dns:///name:port")] = (
        f"127.0.0.1:{ports.INGEST}"
    )
    detector_target: Annotated[str, Meta(description="detector, host:port or dns:///name:port")] = (
        f"127.0.0.1:{ports.DETECTOR}"
    )
    explainer_target: Annotated[
        str, Meta(description="explainer, host:port or dns:///name:port")
    ] = f"127.0.0.1:{ports.EXPLAINER}"
    topology_target: Annotated[
        str, Meta(description="topology, host:port or dns:///name:port; empty: no calls are known")
    ] = ""
    anomalies_min_severity: Annotated[
        Literal["critical", "warning", "info"],
        Meta(description="Least severity of anomalies that go into incidents"),
    ] = "warning"
    gather_s: Annotated[
        float, Meta(ge=0, le=300, description="An incident waits so long for more before it opens")
    ] = 10.0
    settle_s: Annotated[
        float, Meta(ge=1, description="It is resolved when nothing fired for so long")
    ] = 300.0
    ack_timeout_s: Annotated[
        float, Meta(ge=60, description="An owner who does nothing for so long is not on it")
    ] = 3600.0
    retention_days: Annotated[
        int, Meta(ge=1, description="Whole days that resolved incidents and their logs are kept")
    ] = 400
    lease_s: Annotated[
        float, Meta(ge=1, description="Silence of a replica after which another one groups")
    ] = 10.0

    @property
    def times(self) -> Times:
        """How long things take."""
        return Times(
            gather_ms=round(self.gather_s * 1000),
            settle_ms=round(self.settle_s * 1000),
            ack_timeout_ms=round(self.ack_timeout_s * 1000),
        )

    @property
    def min_severity(self) -> Severity:
        """Of anomalies."""
        return Severity[self.anomalies_min_severity.upper()]
