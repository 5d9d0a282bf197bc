"""The three services with scripted answers: real servers, real tokens, real policies."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from mesh.auth import Principal, TokenVerifier, current_principal, policies
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.serving import Server
from services.gateway.clients import CONTRACT
from services.ingest import collector

OTLP = metrics_service_pb2.DESCRIPTOR.services_by_name["MetricsService"]


@dataclass
class Call:
    """One call that arrived."""

    method: str
    request: Any
    principal: Principal
    traceparent: str


@dataclass
class Script:
    """What the services answer: by method a message, an exception, or a function of the request.

    For streams a function of the request that is an async generator.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    health: dict[str, bool] = field(default_factory=dict)

    def last(self, method: str) -> Call:
        """The newest call of a method."""
        return next(call for call in reversed(self.calls) if call.method == method)

    def count(self, method: str) -> int:
        """How often a method was called."""
        return sum(call.method == method for call in self.calls)

    def reset(self) -> None:
        """Forgets everything."""
        self.answers.clear()
        self.calls.clear()
        self.cancelled.clear()
        self.health.clear()


@asynccontextmanager
async def scripted_services(script: Script, jwks_file: Path) -> AsyncIterator[dict[str, str]]:
    """Serves all services on free ports; their targets by name."""
    servers: list[Server] = []
    targets: dict[str, str] = {}
    try:
        for name, file in CONTRACT.items():
            server = await _server(name, file, script, jwks_file)
            targets[name] = f"127.0.0.1:{await server.start()}"
            servers.append(server)
        yield targets
    finally:
        for server in servers:
            await server.stop(0, 0.2)


async def _server(name: str, file: Any, script: Script, jwks_file: Path) -> Server:
    service = next(iter(file.services_by_name.values()))
    health = Health([service.full_name], every_s=0.25)

    async def probe() -> None:
        if not script.health.get(name, True):
            raise RuntimeError("scripted to be down")

    await health.add_check("script", probe)
    server = Server(
        service=name,
        host="127.0.0.1",
        port=0,
        interceptors=server_interceptors(
            verifier=TokenVerifier.from_file(jwks_file),
            policies={**policies([file]), **collector.access()},
        ),
        health=health,
        drain=Drain(),
    )
    served = [service] if name != "ingest" else [service, OTLP]
    for each in served:
        server.grpc.add_registered_method_handlers(each.full_name, _handlers(each, script))
    return server


def _handlers(service: ServiceDescriptor, script: Script) -> dict[str, grpc.RpcMethodHandler]:
    return {method.name: _handler(method, script) for method in service.methods}


def _handler(method: MethodDescriptor, script: Script) -> grpc.RpcMethodHandler:
    def note(request: Message, context: Any) -> Any:
        metadata = dict(context.invocation_metadata() or ())
        script.calls.append(
            Call(method.name, request, current_principal(), str(metadata.get("traceparent", "")))
        )
        return script.answers.get(method.name)

    async def unary(request: Message, context: Any) -> Message:
        answer = note(request, context)
        if callable(answer):
            answer = answer(request)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, BaseException):
            raise answer
        return answer if answer is not None else GetMessageClass(method.output_type)()

    async def stream(request: Message, context: Any) -> AsyncIterator[Message]:
        answer = note(request, context)
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            return
        try:
            async for frame in answer(request):
                yield frame
        except BaseException:
            script.cancelled.append(method.name)
            raise

    async def talk(requests: Any, context: Any) -> AsyncIterator[Message]:
        async for request in requests:
            note(request, context)
            return
        yield GetMessageClass(method.output_type)()  # never: it makes this a generator

    if method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(
            talk,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
    make: Callable[..., grpc.RpcMethodHandler] = (
        grpc.unary_stream_rpc_method_handler
        if method.server_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    return make(
        stream if method.server_streaming else unary,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
