"""The services behind the gateway, called by the name of a method and in the caller's name."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
from cachetools import TTLCache
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh import otlp, wire
from mesh.auth import AHEAD_S, Principal, TokenMinter
from mesh.clients import open_channel
from mesh.errors import SensusError, Unavailable, translated
from mesh.tls import channel_credentials
from sensus.detector.v1 import detector_service_pb2
from sensus.explainer.v1 import explainer_service_pb2
from sensus.incidents.v1 import incidents_service_pb2
from sensus.ingest.v1 import ingest_service_pb2
from sensus.notifier.v1 import notifier_service_pb2
from sensus.topology.v1 import topology_service_pb2
from services.gateway.config import Config

if TYPE_CHECKING:
    Call = grpc.aio.UnaryStreamCall[Any, Any]

CONTRACT: Final[dict[str, FileDescriptor]] = {
    "ingest": ingest_service_pb2.DESCRIPTOR,
    "detector": detector_service_pb2.DESCRIPTOR,
    "explainer": explainer_service_pb2.DESCRIPTOR,
    "incidents": incidents_service_pb2.DESCRIPTOR,
    "notifier": notifier_service_pb2.DESCRIPTOR,
    "topology": topology_service_pb2.DESCRIPTOR,
}
_REUSE_S: Final = 60.0
_REUSED_TOKENS: Final = 16_384
_UNARY_TTL_S: Final = 2 * _REUSE_S + AHEAD_S
"""A call is checked when it arrives: a token that is a minute old has another minute for that, by
the clock of a service that may be ahead."""
_STREAM_TTL_S: Final = 3600.0


class Clients:
    """Generic calls in the name of who asked.

    A token with the caller's subject, scopes and session serves all of its calls for a minute, here
    and in the verifiers of the services.
    """

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], minter: TokenMinter) -> None:
        """`channels` by the full name of the service behind them."""
        self._channels = dict(channels)
        self._minter = minter
        self._callables: dict[str, Any] = {}
        self._tokens: TTLCache[tuple[Principal, bool], str] = TTLCache(_REUSED_TOKENS, _REUSE_S)

    async def unary(
        self,
        method: MethodDescriptor,
        request: Message,
        principal: Principal,
        *,
        timeout_s: float | None = None,
    ) -> Message:
        """Calls a method that gives one answer; without `timeout_s` the channel's default holds.

        Raises:
            SensusError: What the service, or the way to it, said.
        """
        with answered():
            answer: Message = await self._callable(method)(
                request,
                metadata=self._metadata(principal, is_stream=False),
                timeout=timeout_s,
            )
        return answer

    async def forward(
        self, method: MethodDescriptor, request: bytes, principal: Principal
    ) -> Message:
        """Like `unary`, of a request that is encoded already and is not read here."""
        with answered():
            answer: Message = await self._callable(method, is_encoded=True)(
                request, metadata=self._metadata(principal, is_stream=False)
            )
        return answer

    def stream(self, method: MethodDescriptor, request: Message, principal: Principal) -> "Call":
        """Opens a stream of answers; it ends when the caller's own token does."""
        metadata = self._metadata(principal, is_stream=True)
        call: Call = self._callable(method)(request, metadata=metadata)
        return call

    async def serving(self, service: str, name: str, timeout_s: float) -> bool | None:
        """What a service says of its own health; None when it does not know `name`.

        Raises:
            SensusError: It did not answer.
        """
        stub = health_pb2_grpc.HealthStub(self._channels[service])
        request = health_pb2.HealthCheckRequest(service=name)
        try:
            answer = await stub.Check(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            with answered():
                raise
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def _callable(self, method: MethodDescriptor, *, is_encoded: bool = False) -> Any:
        service = method.containing_service.full_name
        path = f"/{service}/{method.name}"
        if path not in self._callables:
            channel = self._channels[service]
            make = channel.unary_stream if method.server_streaming else channel.unary_unary
            encode = GetMessageClass(method.input_type).SerializeToString
            self._callables[path] = make(
                path,
                request_serializer=None if is_encoded else encode,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
        return self._callables[path]

    def _metadata(self, principal: Principal, *, is_stream: bool) -> tuple[tuple[str, str]]:
        token = self._tokens.get((principal, is_stream))
        if token is None:
            token = self._tokens[principal, is_stream] = self._minted(principal, is_stream)
        return ((wire.AUTHORIZATION, f"Bearer {token}"),)

    def _minted(self, principal: Principal, is_stream: bool) -> str:
        left_s = min(principal.expires_at_s - time.time(), _STREAM_TTL_S)
        return self._minter.mint(
            principal.subject,
            principal.scopes,
            left_s if is_stream else _UNARY_TTL_S,
            epoch_us=principal.epoch_us,
            session=principal.session,
        )


@contextmanager
def answered() -> Iterator[None]:
    """Inside, a failed rpc is raised as what the service meant.

    What no service said, but gRPC itself, names addresses; callers are not told those.
    """
    try:
        with translated():
            yield
    except Unavailable as error:
        if error.retry_after_s is not None:
            raise
        rule = "a service behind the gateway does not answer: try again"
        raise Unavailable(rule, reason="SERVICE_UNAVAILABLE") from error
    except SensusError as error:
        if error.code is not grpc.StatusCode.UNKNOWN:
            raise
        raise RuntimeError("a service failed in a way it should not") from error


def service_name(service: str) -> str:
    """The full gRPC name of a service's only service."""
    return next(iter(CONTRACT[service].services_by_name.values())).full_name


@asynccontextmanager
async def open_clients(config: Config, minter: TokenMinter) -> AsyncIterator[Clients]:
    """Channels to all services. They carry no token of the gateway's own: none is ever assumed."""
    targets = {
        "ingest": config.ingest_target,
        "detector": config.detector_target,
        "explainer": config.explainer_target,
        "incidents": config.incidents_target,
        "notifier": config.notifier_target,
        "topology": config.topology_target,
    }
    credentials = channel_credentials(config)
    async with AsyncExitStack() as stack:
        channels = {
            (name := service_name(service)): await stack.enter_async_context(
                open_channel(
                    target, service=name, tokens=None, caller="gateway", credentials=credentials
                )
            )
            for service, target in targets.items()
        }
        for signal in otlp.SIGNALS:  # of ingest too, beside its own service
            channels[signal.service] = channels[service_name("ingest")]
        yield Clients(channels, minter)
