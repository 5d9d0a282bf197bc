"""The http rules of the contract, read from its descriptors."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mesh.auth import ADMIN, Policy
from sensus.core.v1 import policy_pb2
from services.gateway.http.endpoint import Rate
from services.gateway.transcoding.template import PathTemplate, compile_template

RESUME_FIELDS: Final = {"after_cursor": "cursor", "resume_after_sequence": "sequence"}
"""Field of a request that resumes a stream, and the field of a frame that it takes."""

DENIED: Final = Policy()
"""For a method without a policy: nobody passes, save admins, whom the service refuses too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One method on one path.

    Attributes:
        verb: GET, POST, …
        body: `*` when the body is the request, a field's name, or empty for no body.
    """

    method: MethodDescriptor
    verb: str
    template: PathTemplate
    body: str
    policy: Policy

    @property
    def full_method(self) -> str:
        """`/package.Service/Method`."""
        return full_method(self.method)

    @property
    def is_stream(self) -> bool:
        """Whether it answers with a stream."""
        return bool(self.method.server_streaming)

    @property
    def is_finite(self) -> bool:
        """Whether its answer is a stream that only reads and ends: one document can hold it."""
        is_followed = any(name in self.method.input_type.fields_by_name for name in RESUME_FIELDS)
        return self.is_stream and self.verb == "GET" and not is_followed

    @property
    def answer_within_s(self) -> float | None:
        """How long its answer may take, where the contract says so."""
        seconds: int = self.method.GetOptions().Extensions[policy_pb2.answer_within_s]
        return seconds or None

    @property
    def takes_alerts(self) -> bool:
        """Whether alerts come in by it."""
        return self.policy.any_of == {"write:alerts"}

    @property
    def audited(self) -> bool:
        """Whether it changes something; telemetry that comes in is data and no change."""
        is_intake = self.policy.any_of <= {"write:samples", "write:alerts"}
        return self.verb != "GET" and not is_intake

    @property
    def rate(self) -> Rate:
        """The limit it counts against: by what its callers may touch."""
        if self.policy.any_of == {"write:samples"}:
            return Rate.METRICS
        if self.policy.any_of <= {"read:alerts", "write:alerts"}:
            return Rate.ALERTS
        is_explainer = self.method.containing_service.name == "ExplainerService"
        return Rate.ANALYSIS if is_explainer and ADMIN not in self.policy.any_of else Rate.OTHER

    def new_request(self) -> Message:
        """An empty request."""
        return GetMessageClass(self.method.input_type)()

    def new_answer(self) -> Message:
        """An empty answer."""
        return GetMessageClass(self.method.output_type)()


def full_method(method: MethodDescriptor) -> str:
    """`/package.Service/Method`."""
    return f"/{method.containing_service.full_name}/{method.name}"


def bindings(
    descriptors: Iterable[FileDescriptor], policies: Mapping[str, Policy]
) -> list[Binding]:
    """All http rules of all methods; a rule that cannot be served fails at start.

    Raises:
        ValueError: A rule uses what is not supported.
    """
    return [
        _binding(method, rule, policies.get(full_method(method), DENIED))
        for file in descriptors
        for service in file.services_by_name.values()
        for method in service.methods
        for rule in _rules(method)
    ]


def _rules(method: MethodDescriptor) -> Iterator[http_pb2.HttpRule]:
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    if method.client_streaming:
        raise ValueError(f"{method.full_name}: a stream of requests has no HTTP form")
    yield rule
    yield from rule.additional_bindings


def _binding(method: MethodDescriptor, rule: http_pb2.HttpRule, policy: Policy) -> Binding:
    pattern = rule.WhichOneof("pattern")
    if pattern not in ("get", "post", "put", "patch", "delete") or rule.response_body:
        raise ValueError(f"{method.full_name}: this http rule is not supported")
    return Binding(
        method=method,
        verb=pattern.upper(),
        template=compile_template(getattr(rule, pattern)),
        body=rule.body,
        policy=policy,
    )
