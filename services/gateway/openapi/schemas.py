"""JSON schemas of messages, as protobuf writes them in JSON."""

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from services.gateway.openapi.comments import Comments
from services.gateway.transcoding.fields import TEXT_TYPES

REF: Final = "#/components/schemas/"

_F: Final = FieldDescriptor
_INTEGER: Final = {"type": "integer"}
_LONG: Final = {"type": "string", "pattern": "^-?[0-9]+$", "format": "int64"}
_NUMBER: Final = {
    "oneOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]
}
_SCALARS: Final[dict[int, dict[str, Any]]] = {
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_DOUBLE: _NUMBER,
    _F.TYPE_FLOAT: _NUMBER,
    _F.TYPE_INT32: _INTEGER,
    _F.TYPE_SINT32: _INTEGER,
    _F.TYPE_SFIXED32: _INTEGER,
    _F.TYPE_UINT32: _INTEGER | {"minimum": 0},
    _F.TYPE_FIXED32: _INTEGER | {"minimum": 0},
    _F.TYPE_INT64: _LONG,
    _F.TYPE_SINT64: _LONG,
    _F.TYPE_SFIXED64: _LONG,
    _F.TYPE_UINT64: _LONG,
    _F.TYPE_FIXED64: _LONG,
}


class MessageSchemas:
    """Schemas of the messages that were asked for, and of all they hold, by full name."""

    def __init__(self, comments: Comments) -> None:
        """Describes with the contract's own comments."""
        self._comments = comments
        self.by_name: dict[str, dict[str, Any]] = {}

    def ref(self, message: Descriptor) -> dict[str, Any]:
        """A reference to a message's schema."""
        if message.full_name in TEXT_TYPES:
            return dict(TEXT_TYPES[message.full_name])
        if message.full_name not in self.by_name:
            self.by_name[message.full_name] = {}
            self.by_name[message.full_name] = self._object(message)
        return {"$ref": REF + message.full_name}

    def field(self, field: FieldDescriptor) -> dict[str, Any]:
        """The schema of a field's value, with its comment."""
        one = self._one(field)
        schema = {"type": "array", "items": one} if field.is_repeated else dict(one)
        return schema | self._described(field.full_name)

    def _one(self, field: FieldDescriptor) -> dict[str, Any]:
        if field.message_type is not None:
            return self.ref(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return _SCALARS[field.type]

    def _enum(self, enum: EnumDescriptor) -> dict[str, Any]:
        if enum.full_name not in self.by_name:
            values = [value.name for value in enum.values]
            schema = {"type": "string", "enum": values}
            self.by_name[enum.full_name] = schema | self._described(enum.full_name)
        return {"$ref": REF + enum.full_name}

    def _object(self, message: Descriptor) -> dict[str, Any]:
        fields: Iterable[FieldDescriptor] = message.fields
        properties = {field.json_name: self.field(field) for field in fields}
        schema = {"type": "object", "properties": properties}
        return schema | self._described(message.full_name)

    def _described(self, full_name: str) -> dict[str, str]:
        text = self._comments.of(full_name)
        return {"description": text} if text else {}
