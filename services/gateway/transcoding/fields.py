"""Finding a field of a message by the name a client wrote."""

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

TEXT_TYPES: Final[dict[str, dict[str, str]]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {
        "type": "string",
        "description": "Names of fields in camel case, with commas between them",
    },
}
"""Messages that JSON writes as one string, with the schema of that."""


def find(message: Any, path: str) -> list[FieldDescriptor] | None:
    """The fields along a dotted path, by proto or JSON names; None when there is no such field."""
    fields: list[FieldDescriptor] = []
    inner: Descriptor | None = message
    for name in path.split("."):
        if inner is None or (fields and not _is_open(fields[-1])):
            return None
        field = _by_name(inner, name)
        if field is None:
            return None
        fields.append(field)
        inner = field.message_type
    return fields


def is_text(field: FieldDescriptor) -> bool:
    """Whether a query or path can hold its value."""
    return field.message_type is None or field.message_type.full_name in TEXT_TYPES


def nested(fields: list[FieldDescriptor], value: Any) -> dict[str, Any]:
    """`{"a": {"b": value}}` for the fields a, b."""
    for field in reversed(fields):
        value = {field.json_name: value}
    return dict(value)


def _is_open(field: FieldDescriptor) -> bool:
    """Whether a path may go on inside of it."""
    return not field.is_repeated and not is_text(field)


def _by_name(message: Descriptor, name: str) -> FieldDescriptor | None:
    for field in message.fields:
        if name in (field.name, field.json_name):
            return field
    return None
