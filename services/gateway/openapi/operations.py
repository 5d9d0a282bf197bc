"""What the document says of a transcoded method."""

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.gateway.http.endpoint import Operation
from services.gateway.openapi.comments import Comments
from services.gateway.openapi.schemas import MessageSchemas
from services.gateway.transcoding.fields import find, is_text
from services.gateway.transcoding.rules import RESUME_FIELDS, Binding

_DEEPEST: Final = 2


def operation_of(binding: Binding, schemas: MessageSchemas, comments: Comments) -> Operation:
    """The operation of a binding: what is not in its path or body is in its query."""
    method = binding.method
    text = comments.of(method.full_name)
    summary, _, description = text.partition("\n\n")
    return Operation(
        tag=method.containing_service.name,
        name=method.name,
        summary=summary or method.name,
        description=description,
        body=_body(binding),
        in_path=frozenset(binding.template.field_by_parameter.values()),
        is_body_required=_is_body_required(binding, schemas),
        required=frozenset(each.name for each in schemas.required(method.input_type)),
        answer=method.output_type,
        parameters=(*_path(binding, schemas), *_query(binding, schemas), *_resume(binding)),
        is_stream=binding.is_stream,
        is_finite=binding.is_finite,
    )


def _body(binding: Binding) -> Descriptor | None:
    request: Descriptor = binding.method.input_type
    if binding.body in ("", "*"):
        return request if binding.body else None
    found: Descriptor | None = request.fields_by_name[binding.body].message_type
    return found


def _is_body_required(binding: Binding, schemas: MessageSchemas) -> bool:
    in_path = binding.template.field_by_parameter.values()
    required = {each.name for each in schemas.required(binding.method.input_type)}
    return bool(binding.body and (binding.body != "*" or required - set(in_path)))


def _path(binding: Binding, schemas: MessageSchemas) -> list[dict[str, Any]]:
    paths = binding.template.field_by_parameter.values()
    fields = {path: find(binding.method.input_type, path) for path in paths}
    return [
        {"name": path, "in": "path", "required": True, "schema": _in_path(found[-1], schemas)}
        for path, found in fields.items()
        if found
    ]


def _query(binding: Binding, schemas: MessageSchemas) -> list[dict[str, Any]]:
    if binding.body == "*":
        return []
    required = schemas.required(binding.method.input_type)
    taken = {binding.body, *binding.template.field_by_parameter.values()}
    return [
        _parameter(name, field, schemas, is_required=field in required)
        for name, path, field in _leaves(binding.method.input_type)
        if path not in taken and path.partition(".")[0] != binding.body
    ]


def _leaves(
    message: Descriptor, json: str = "", proto: str = "", depth: int = 1
) -> list[tuple[str, str, FieldDescriptor]]:
    found: list[tuple[str, str, FieldDescriptor]] = []
    for field in message.fields:
        name, path = f"{json}{field.json_name}", f"{proto}{field.name}"
        if is_text(field):
            found.append((name, path, field))
        elif field.message_type and not field.is_repeated and depth < _DEEPEST:
            found += _leaves(field.message_type, f"{name}.", f"{path}.", depth + 1)
    return found


def _in_path(field: FieldDescriptor, schemas: MessageSchemas) -> dict[str, Any]:
    schema = schemas.field(field)
    return {"minLength": 1} | schema if schema.get("type") == "string" else schema


def _parameter(
    name: str, field: FieldDescriptor, schemas: MessageSchemas, *, is_required: bool
) -> dict[str, Any]:
    schema = schemas.field(field, is_input=True)
    described = {"description": schema.pop("description")} if "description" in schema else {}
    required = {"required": True} if is_required else {}
    return {"name": name, "in": "query", "schema": schema} | required | described


def _resume(binding: Binding) -> list[dict[str, Any]]:
    if not RESUME_FIELDS.keys() & set(binding.method.input_type.fields_by_name):
        return []
    return [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "Id of the last event that was seen; the stream goes on after it.",
            "schema": {"type": "string"},
        }
    ]
