"""The services behind the gateway, called by the name of a method and in the caller's name."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh import wire
from mesh.auth import Principal, TokenMinter
from mesh.clients import open_channel
from mesh.errors import SensusError, Unavailable, translated
from mesh.tls import channel_credentials
from sensus.detector.v1 import detector_service_pb2
from sensus.explainer.v1 import explainer_service_pb2
from sensus.ingest.v1 import ingest_service_pb2
from services.gateway.config import Config

if TYPE_CHECKING:
    Call = grpc.aio.UnaryStreamCall[Any, Any]

CONTRACT: Final[dict[str, FileDescriptor]] = {
    "ingest": ingest_service_pb2.DESCRIPTOR,
    "detector": detector_service_pb2.DESCRIPTOR,
    "explainer": explainer_service_pb2.DESCRIPTOR,
}

_UNARY_TTL_S: Final = 60.0
_STREAM_TTL_S: Final = 3600.0


class Clients:
    """Generic calls. Each carries a short token with the subject and scopes of who asked."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], minter: TokenMinter) -> None:
        """`channels` by the full name of the service behind them."""
        self._channels = dict(channels)
        self._minter = minter
        self._callables: dict[str, Any] = {}

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
                metadata=self._metadata(principal, (timeout_s or 0.0) + _UNARY_TTL_S),
                timeout=timeout_s,
            )
        return answer

    def stream(self, method: MethodDescriptor, request: Message, principal: Principal) -> "Call":
        """Opens a stream of answers; it ends when the caller's own token does."""
        left_s = min(principal.expires_at_s - time.time(), _STREAM_TTL_S)
        call: Call = self._callable(method)(request, metadata=self._metadata(principal, left_s))
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

    def _callable(self, method: MethodDescriptor) -> Any:
        service = method.containing_service.full_name
        path = f"/{service}/{method.name}"
        if path not in self._callables:
            channel = self._channels[service]
            make = channel.unary_stream if method.server_streaming else channel.unary_unary
            self._callables[path] = make(
                path,
                request_serializer=GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
        return self._callables[path]

    def _metadata(self, principal: Principal, ttl_s: float) -> tuple[tuple[str, str]]:
        token = self._minter.mint(principal.subject, principal.scopes, ttl_s)
        return ((wire.AUTHORIZATION, f"Bearer {token}"),)


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
        told = "a service behind the gateway does not answer: try again"
        raise Unavailable(told, reason="SERVICE_UNAVAILABLE") from error
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
        yield Clients(channels, minter)
