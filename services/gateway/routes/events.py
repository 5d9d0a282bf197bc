"""GET /api/v1/events: all that happens, as one stream, because browsers open few connections."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import Policy, Principal
from mesh.drain import Drain
from mesh.errors import InvalidInput, PermissionDenied, Violation
from services.gateway.clients import CONTRACT, Clients
from services.gateway.http.endpoint import Endpoint, Operation, principal_of
from services.gateway.http.queries import only
from services.gateway.transcoding import Cursors, MergedCall, StreamResponse, chosen, cursors_of

if TYPE_CHECKING:
    from services.gateway.clients import Call

_WATCH: Final = "Watch"

_EVENTS: Final = Operation(
    tag="Events",
    name="WatchEvents",
    summary="Everything that happens, as it happens: one stream of all watches",
    description=(
        "Each event has the topic and the frame of its watch; `watching` says that one began or "
        "goes on, `unavailable` that its service is away, and why: it is tried again. The id "
        "holds the places of all watches: send the last one as Last-Event-ID to go on without a "
        "gap. Topics whose scope the caller lacks are left out."
    ),
    parameters=(
        {
            "name": "topic",
            "in": "query",
            "description": "Repeatable. Default: all that the caller may read.",
            "schema": {"type": "array", "items": {"type": "string"}},
        },
        {
            "name": "selector",
            "in": "query",
            "description": "Prometheus series selector over labels; empty for all.",
            "schema": {"type": "string"},
        },
    ),
    is_stream=True,
    media_type="text/event-stream",
)


def watches() -> dict[str, MethodDescriptor]:
    """Each `Watch…` method of the contract, by what it watches: `anomalies`, `alerts` and so on."""
    return {
        method.name.removeprefix(_WATCH).lower(): method
        for file in CONTRACT.values()
        for service in file.services_by_name.values()
        for method in service.methods
        if method.name.startswith(_WATCH) and method.server_streaming
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRoutes:
    """One stream over all watches.

    Attributes:
        policies: Of each method, by `/package.Service/Method`.
    """

    clients: Clients
    drain: Drain
    policies: Mapping[str, Policy]

    def endpoints(self) -> list[Endpoint]:
        """The endpoint of this subject; whoever may read one topic may open it."""
        scopes = [self._policy(method).any_of for method in watches().values()]
        return [
            Endpoint(
                method="GET",
                path="/api/v1/events",
                policy=Policy(any_of=frozenset().union(*scopes)),
                handle=self._events,
                operation=_EVENTS,
            )
        ]

    async def _events(self, request: Request) -> Response:
        only(request, ("topic", "selector"))
        principal = principal_of(request)
        at = cursors_of(request.headers.get("last-event-id", ""))
        topics = self._topics(request.query_params.getlist("topic"), principal)
        selector = request.query_params.get("selector", "")
        calls: dict[str, Callable[[int | None], Call]] = {
            topic: partial(self._watch, method, selector, principal)
            for topic, method in topics.items()
        }
        framing = chosen(request.headers.get("accept", ""), is_finite=False)
        assert framing is not None  # noqa: S101  # only a finite stream has one document
        return StreamResponse(MergedCall(calls, _of(topics, at)), framing, self.drain)

    def _topics(self, asked: list[str], principal: Principal) -> dict[str, MethodDescriptor]:
        """What shall be watched: what is asked for, or all that the caller may read."""
        every = watches()
        for topic in asked:
            if topic not in every:
                rule = f"must be one of {', '.join(sorted(every))}"
                raise InvalidInput(f"topic {rule}", violations=[Violation("topic", rule)])
            self._policy(every[topic]).check(principal)
        return {
            topic: every[topic] for topic in asked or every if self._may(every[topic], principal)
        }

    def _may(self, method: MethodDescriptor, principal: Principal) -> bool:
        try:
            self._policy(method).check(principal)
        except PermissionDenied:
            return False
        return True

    def _policy(self, method: MethodDescriptor) -> Policy:
        return self.policies[f"/{method.containing_service.full_name}/{method.name}"]

    def _watch(
        self, method: MethodDescriptor, selector: str, principal: Principal, after: int | None
    ) -> "Call":
        wanted: Any = GetMessageClass(method.input_type)()
        if after is not None:
            wanted.after_cursor = after
        if "selector" in method.input_type.fields_by_name:
            wanted.selector = selector
        return self.clients.stream(method, wanted, principal)


def _of(topics: Mapping[str, MethodDescriptor], at: Cursors) -> Cursors:
    return {topic: cursor for topic, cursor in at.items() if topic in topics}
