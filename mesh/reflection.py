"""Server reflection, v1 and v1alpha side by side: what grpcurl and its like ask first.

The wheel of grpcio-reflection has v1alpha only. Both have the same messages, field by field, so v1
is served by the same code under its own name.
"""

from collections.abc import Iterable
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha import reflection_pb2 as pb

V1ALPHA: Final = reflection.SERVICE_NAME
V1: Final = V1ALPHA.replace(".v1alpha.", ".v1.")


def register(service_names: Iterable[str], server: grpc.aio.Server) -> None:
    """Serves the descriptors of `service_names` and of reflection itself."""
    _describe_v1()
    servicer = _Servicer((*service_names, V1, V1ALPHA))
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=pb.ServerReflectionRequest.FromString,
        response_serializer=pb.ServerReflectionResponse.SerializeToString,
    )
    for name in (V1, V1ALPHA):
        server.add_registered_method_handlers(name, {"ServerReflectionInfo": method})


class _Servicer(reflection.aio.ReflectionServicer):  # type: ignore[misc]  # untyped
    """Finds methods too: the pool knows files by messages, enums and services only."""

    def _file_containing_symbol(self, request: Any, fully_qualified_name: str) -> Any:
        service, _, _ = fully_qualified_name.rpartition(".")
        is_method = service in self._service_names
        symbol = service if is_method else fully_qualified_name
        return super()._file_containing_symbol(request, symbol)


def _describe_v1() -> None:
    """Adds the file of v1 to the pool; the same file again changes nothing."""
    file = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = "grpc/reflection/v1/reflection.proto", "grpc.reflection.v1"
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
            method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    descriptor_pool.Default().Add(file)
