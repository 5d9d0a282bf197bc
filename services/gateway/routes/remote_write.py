"""POST /api/v1/write: Prometheus remote write, 1.0 and 2.0."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import Policy
from services.gateway.clients import Clients
from services.gateway.http.endpoint import Endpoint, Operation, Rate, principal_of
from services.gateway.http.problems import problem_response
from services.gateway.intake.remote_write import (
    V2,
    partly_refused,
    protocol_of,
    refusals,
    remote_write,
    written_headers,
)
from services.gateway.intake.tally import Tally

_WRITE_SAMPLES: Final = Policy(any_of=frozenset({"write:samples"}))

_OPERATION: Final = Operation(
    tag="Intake",
    name="RemoteWrite",
    summary="Takes what Prometheus and its like send by remote write, 1.0 and 2.0",
    description=(
        "The body is a prometheus.WriteRequest or an io.prometheus.write.v2.Request in the block "
        "format of snappy. 204 only after all of it is durable; 400 when something was refused, "
        "and then the rest is stored. A body that comes again counts once. 503 with Retry-After "
        "when it cannot be committed now, or when the sender is over its limit, and never 429, "
        "upon which Prometheus would drop the samples. A native histogram is kept as its count, "
        "its sum, and the quantiles 0.5, 0.95 and 0.99 of what was observed since the one before."
    ),
    body=bytes,
    body_media_type="application/x-protobuf",
    status=204,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWriteRoutes:
    """Takes remote writes."""

    clients: Clients
    tally: Tally

    def endpoints(self) -> list[Endpoint]:
        """The endpoint of this subject."""
        return [
            Endpoint(
                method="POST",
                path="/api/v1/write",
                policy=_WRITE_SAMPLES,
                handle=self._write,
                operation=_OPERATION,
                rate=Rate.TELEMETRY,
                webhook=True,
            )
        ]

    async def _write(self, request: Request) -> Response:
        protocol, principal = protocol_of(request), principal_of(request)
        body = await request.body()
        answer = await remote_write(self.clients, principal, protocol, body)
        self.tally.note("samples", principal.subject, refusals(answer))
        response = (
            problem_response(partly_refused(answer))
            if answer.rejected
            else Response(status_code=204)
        )
        if protocol == V2:
            response.headers.update(written_headers(answer))
        return response
