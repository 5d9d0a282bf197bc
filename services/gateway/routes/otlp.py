"""POST /v1/metrics, /v1/traces and /v1/logs: OTLP over HTTP."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mesh import otlp
from mesh.errors import SensusError
from services.gateway.clients import Clients
from services.gateway.http.endpoint import Endpoint, Operation, Rate, principal_of
from services.gateway.intake.otlp import PROTOBUF, export, refused

_PREFIXES: Final = {"": "", "/api/v1/otlp": "Aliased"}
"""Prometheus and its like have the second one."""


def _operation(signal: otlp.Signal, name: str) -> Operation:
    return Operation(
        tag="Intake",
        name=name,
        summary=f"Takes {signal.name} of OpenTelemetry: OTLP over HTTP, in protobuf or in JSON",
        description=(
            f"{_REQUESTS[signal]}, plain, gzip or zstd. 200 only after all that was taken is "
            "durable; what was refused is counted in `partial_success`, and costs no other "
            f"record. A request that comes again counts once. {_BECOMES[signal]} 503 with "
            "Retry-After when it cannot be committed now."
        ),
        body=bytes,
        body_media_type=PROTOBUF,
    )


_REQUESTS: Final = {
    otlp.METRICS: "An ExportMetricsServiceRequest",
    otlp.TRACES: "An ExportTraceServiceRequest",
    otlp.LOGS: "An ExportLogsServiceRequest",
}
_BECOMES: Final = {
    otlp.METRICS: "Names and units become those of Prometheus.",
    otlp.TRACES: "Spans are counted per minute; they themselves are not kept.",
    otlp.LOGS: "Lines are counted by their pattern; they themselves are not kept.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpRoutes:
    """Takes what OpenTelemetry sends over HTTP."""

    clients: Clients

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of this subject."""
        return [
            Endpoint(
                method="POST",
                path=f"{prefix}/v1/{signal.name}",
                policy=signal.policy,
                handle=partial(self._export, signal),
                operation=_operation(signal, f"{name}Export{signal.name.title()}"),
                rate=Rate.TELEMETRY,
            )
            for prefix, name in _PREFIXES.items()
            for signal in otlp.SIGNALS
        ]

    async def _export(self, signal: otlp.Signal, request: Request) -> Response:
        try:
            return await export(signal, self.clients, principal_of(request), request)
        except SensusError as error:
            return refused(error, request)
