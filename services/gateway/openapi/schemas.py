"""JSON schemas of messages, as protobuf writes them in JSON."""

import re
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from services.gateway.openapi.comments import Comments
from services.gateway.transcoding.enums import short_names
from services.gateway.transcoding.fields import TEXT_TYPES

REF: Final = "#/components/schemas/"

_F: Final = FieldDescriptor
_NUMBER_TEXT: Final = r"^(NaN|-?Infinity|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)$"
_INTEGER: Final = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_UNSIGNED: Final = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_LONG: Final = {"type": "string", "pattern": "^-?[0-9]{1,19}$", "format": "int64"}
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
    _F.TYPE_UINT32: _UNSIGNED,
    _F.TYPE_FIXED32: _UNSIGNED,
    _F.TYPE_INT64: _LONG,
    _F.TYPE_SINT64: _LONG,
    _F.TYPE_SFIXED64: _LONG,
    _F.TYPE_UINT64: _LONG,
    _F.TYPE_FIXED64: _LONG,
}


class MessageSchemas:
    """Schemas of the messages that were asked for, and of all they hold, by full name.

    A message that is sent has a schema of its own, `….Input`: protobuf reads more forms than it
    writes (numbers as text, null for an absent field), and we read short names of enums.
    """

    def __init__(self, comments: Comments) -> None:
        """Describes with the contract's own comments."""
        self._comments = comments
        self.by_name: dict[str, dict[str, Any]] = {}
        self._given_elsewhere: dict[str, frozenset[str]] = {}

    def given_elsewhere(self, message: Descriptor, names: frozenset[str]) -> None:
        """Fields of a request that its path gives, so that its body need not."""
        self._given_elsewhere[message.full_name] = names

    def ref(self, message: Descriptor, *, is_input: bool = False) -> dict[str, Any]:
        """A reference to a message's schema."""
        if message.full_name in TEXT_TYPES:
            return dict(TEXT_TYPES[message.full_name])
        name = message.full_name + (".Input" if is_input else "")
        if name not in self.by_name:
            self.by_name[name] = {}
            self.by_name[name] = self._object(message, is_input=is_input)
        return {"$ref": REF + name}

    def field(self, field: FieldDescriptor, *, is_input: bool = False) -> dict[str, Any]:
        """The schema of a field's value, with its comment and the bounds that are told there."""
        one = self._one(field, is_input=is_input)
        if _is_map(field):
            entry: Any = field.message_type
            value: FieldDescriptor = entry.fields_by_name["value"]
            schema = {
                "type": "object",
                "additionalProperties": self._one(value, is_input=is_input),
            }
        elif field.is_repeated:
            schema = {"type": "array", "items": one}
        else:
            schema = one | bounds(field, self._comments.of(field.full_name))
        return schema | self._described(field.full_name)

    def required(self, message: Descriptor) -> list[FieldDescriptor]:
        """The fields that a sender must give."""
        fields: Iterable[FieldDescriptor] = message.fields
        return [
            each for each in fields if self._comments.of(each.full_name).startswith("Required.")
        ]

    def _one(self, field: FieldDescriptor, *, is_input: bool) -> dict[str, Any]:
        if field.message_type is not None:
            return {} if _is_map(field) else self.ref(field.message_type, is_input=is_input)
        if field.enum_type is not None:
            return self._enum(field.enum_type, is_input=is_input)
        scalar = _SCALARS[field.type]
        return _lenient(scalar) if is_input else dict(scalar)

    def _enum(self, enum: EnumDescriptor, *, is_input: bool) -> dict[str, Any]:
        name = enum.full_name + (".Input" if is_input else "")
        if name not in self.by_name:
            written: list[str | int] = [value.name for value in enum.values]
            read = [*short_names(enum), *(value.number for value in enum.values)]
            schema = {"enum": written + read} if is_input else {"type": "string", "enum": written}
            self.by_name[name] = schema | self._described(enum.full_name)
        return {"$ref": REF + name}

    def _object(self, message: Descriptor, *, is_input: bool) -> dict[str, Any]:
        fields: Iterable[FieldDescriptor] = message.fields
        properties = {field.json_name: self._property(field, is_input=is_input) for field in fields}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        elsewhere = self._given_elsewhere.get(message.full_name, frozenset())
        required = [each.json_name for each in self.required(message) if each.name not in elsewhere]
        if is_input:
            schema["additionalProperties"] = False
            schema |= {"required": required} if required else {}
        return schema | self._described(message.full_name)

    def _property(self, field: FieldDescriptor, *, is_input: bool) -> dict[str, Any]:
        schema = self.field(field, is_input=is_input)
        message: Any = field.containing_type
        is_required = field in self.required(message)
        return _nullable(schema) if is_input and not is_required else schema

    def _described(self, full_name: str) -> dict[str, str]:
        text = self._comments.of(full_name)
        return {"description": text} if text else {}


def bounds(field: FieldDescriptor, comment: str) -> dict[str, Any]:
    """What the comment of a field says of its range, as far as it says so in the usual words."""
    if field.type == _F.TYPE_STRING:
        if found := _CHARACTERS.search(comment):
            least = {"minLength": int(found["least"])} if found["least"] else {}
            return least | {"maxLength": int(found["most"].replace(",", ""))}
    elif _SCALARS.get(field.type) in (_INTEGER, _UNSIGNED) and (found := _MOST.search(comment)):
        return {"maximum": int(found["most"].replace(",", ""))}
    return {}


_CHARACTERS: Final = re.compile(
    r"(?:(?P<least>\d+) to |[Aa]t most )(?P<most>[\d,]*\d) characters(?! are)"
)
_MOST: Final = re.compile(r"[Aa]t most (?P<most>[\d,]*\d)(?=[.,]|$)")


def _lenient(scalar: dict[str, Any]) -> dict[str, Any]:
    if scalar in (_INTEGER, _UNSIGNED):
        return scalar | {"type": ["integer", "string"], "pattern": "^-?[0-9]{1,10}$"}
    if scalar == _LONG:
        return scalar | {"type": ["integer", "string"]}
    if scalar == _NUMBER:
        return {"type": ["number", "string"], "pattern": _NUMBER_TEXT}
    return dict(scalar)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or null, which is the same as leaving the field out."""
    described = {key: schema[key] for key in ("description",) if key in schema}
    bare = {key: value for key, value in schema.items() if key not in described}
    return {"anyOf": [bare, {"type": "null"}]} | described


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
