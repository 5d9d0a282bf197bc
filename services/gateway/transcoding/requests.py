"""From an HTTP request to the request of a method."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from starlette.requests import Request

from mesh.errors import InvalidInput, Violation
from services.gateway.http.bodies import OFF_LOOP_BYTES, decode, read_json
from services.gateway.http.endpoint import Operation
from services.gateway.transcoding.enums import enum_name, with_enum_names
from services.gateway.transcoding.fields import find, is_text, nested
from services.gateway.transcoding.refusals import refusal
from services.gateway.transcoding.rules import RESUME_FIELDS, Binding

_BOOLEANS: Final = {"true": True, "false": False}
_UNFIT: Final = (
    json_format.Error,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
_LAST_EVENT_ID: Final = "last-event-id"


async def to_message(binding: Binding, request: Request, operation: Operation) -> Message:
    """Reads path, query and body into the method's request.

    Raises:
        InvalidInput: INVALID_FIELD, UNKNOWN_FIELD or JSON_BROKEN, naming the field.
    """
    message = binding.new_request()
    if binding.body:
        await _read_body(binding, request, message, is_required=operation.is_body_required)
    _read_query(binding, request, message)
    for parameter, path in binding.template.field_by_parameter.items():
        _set(message, path, [request.path_params[parameter]])
    _resume(message, request)
    _check_present(message, operation.required)
    return message


def _check_present(message: Message, required: Iterable[str]) -> None:
    """Refuses a request without a message that it must hold; values are for the service."""
    for name in sorted(required):
        field: Any = message.DESCRIPTOR.fields_by_name[name]
        if field.has_presence and not message.HasField(name):
            rule = "is required"
            violations = [Violation(field.json_name, rule)]
            raise InvalidInput(
                f"{field.json_name}: {rule}", reason="INVALID_FIELD", violations=violations
            )


async def _read_body(
    binding: Binding, request: Request, message: Message, *, is_required: bool
) -> None:
    if not is_required and not await request.body():
        return
    body = await read_json(request)
    target = message if binding.body == "*" else getattr(message, binding.body)
    if len(body) > OFF_LOOP_BYTES:
        await asyncio.to_thread(_parse, body, target)
    else:
        _parse(body, target)


def _parse(body: bytes, target: Message) -> None:
    content = decode(body, object)
    if not isinstance(content, dict):
        raise InvalidInput("send a JSON object", reason="INVALID_FIELD")
    _merge(with_enum_names(content, target.DESCRIPTOR), target)


def _read_query(binding: Binding, request: Request, message: Message) -> None:
    for name in dict.fromkeys(request.query_params.keys()):
        if binding.body == "*" or _in_path(binding, name) or _in_body(binding, name):
            rule = "is not taken from the query: it belongs into the path or the body"
            raise _unknown(name, rule)
        _set(message, name, request.query_params.getlist(name))


def _in_path(binding: Binding, name: str) -> bool:
    return name in binding.template.field_by_parameter.values()


def _in_body(binding: Binding, name: str) -> bool:
    fields = find(binding.method.input_type, name)
    return bool(fields and binding.body and fields[0].name == binding.body)


def _set(message: Message, path: str, values: list[str]) -> None:
    fields = find(message.DESCRIPTOR, path)
    if fields is None or not is_text(fields[-1]):
        raise _unknown(path, "is not a parameter of this method")
    leaf = fields[-1]
    if not leaf.is_repeated and len(values) > 1:
        raise InvalidInput(
            f"{path}: give it once",
            reason="INVALID_FIELD",
            violations=[Violation(path, "give it once")],
        )
    read = [_typed(leaf, value, path) for value in values]
    _merge(nested(fields, read if leaf.is_repeated else read[0]), message)


def _typed(field: FieldDescriptor, text: str, path: str) -> object:
    if "\0" in text:
        rule = "must not hold a NUL character"
        violations = [Violation(field.json_name, rule)]
        raise InvalidInput(
            f"{field.json_name} {rule}", reason="INVALID_FIELD", violations=violations
        )
    if field.enum_type is not None:
        return enum_name(field, text, path)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _BOOLEANS.get(text.lower(), text)
    return text


def _merge(content: dict[str, Any], message: Message) -> None:
    try:
        json_format.ParseDict(content, message, ignore_unknown_fields=False)
    except _UNFIT as error:
        raise refusal(str(error)) from None


def _resume(message: Message, request: Request) -> None:
    """A browser that lost its stream names the last event it saw."""
    last_event_id = request.headers.get(_LAST_EVENT_ID, "")
    field = _resumable(message.DESCRIPTOR.fields_by_name)
    if last_event_id and field:
        if not (last_event_id.isascii() and last_event_id.isdecimal()):
            rule = "must be the id of an event of this stream"
            violations = [Violation("Last-Event-ID", rule)]
            raise InvalidInput(
                f"Last-Event-ID {rule}", reason="INVALID_FIELD", violations=violations
            )
        _set(message, field, [last_event_id])


def _resumable(names: Iterable[str]) -> str | None:
    return next((name for name in RESUME_FIELDS if name in names), None)


def _unknown(name: str, rule: str) -> InvalidInput:
    name = name[:100]
    return InvalidInput(
        f"{name}: {rule}", reason="UNKNOWN_FIELD", violations=[Violation(name, rule)]
    )
