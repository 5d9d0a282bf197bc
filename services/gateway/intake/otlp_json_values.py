"""What OTLP in JSON shares over all signals: attributes, resources, and how bad bodies are refused.

As the specification has it: lowerCamelCase, 64-bit integers as texts or numbers, enums as numbers;
their names are taken too, as the Collector does. Unknown fields are ignored, and what nobody reads
is not even checked. Halves of characters, which senders make where they cut texts, and NaN without
quotes cost nothing else.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf.message import Message
from opentelemetry.proto.common.v1 import common_pb2

from mesh.errors import InvalidInput
from services.gateway.http.problems import BodyTooLarge
from services.gateway.intake.bodies import parsed

T = TypeVar("T")

Integer = int | str
Number = float | str

_DEEPEST: Final = 16
_MOST_OPENED: Final = 1_000_000
"""Objects and lists of a body. Each becomes an object of some hundred bytes, empty ones too; what
says something has no more in as many bytes as a body may have.
"""


class Camel(msgspec.Struct, rename="camel", kw_only=True):
    """A message of OTLP; its fields are named as in the protos."""


class Value(Camel):
    """AnyValue."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Integer | None = None
    double_value: Number | None = None
    bytes_value: str | None = None
    array_value: "Array | None" = None
    kvlist_value: "Fields | None" = None


class Array(Camel):
    """ArrayValue."""

    values: Sequence[Value] = ()


class Attribute(Camel):
    """KeyValue."""

    key: str = ""
    value: Value | None = None


class Fields(Camel):
    """KeyValueList."""

    values: Sequence[Attribute] = ()


class Resource(Camel):
    """Resource."""

    attributes: Sequence[Attribute] = ()


def message(body: bytes, type: "type[T]", fill: Callable[[T], Message]) -> bytes:
    """A message in protobuf from a body in JSON.

    Args:
        body: In UTF-8.
        type: What the body is decoded as.
        fill: Makes the message of it.

    Raises:
        BodyTooLarge: It may hold more than a million objects and lists.
        InvalidInput: JSON_BROKEN, or INVALID_FIELD naming the place.
    """
    if body.count(b"{") + body.count(b"[") > _MOST_OPENED:
        rule = f"the body has more than {_MOST_OPENED} objects and lists: send it in parts"
        raise BodyTooLarge(rule)
    try:
        return fill(_decoded(body, type)).SerializeToString()
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error)[:300], reason="INVALID_FIELD") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        rule = f"the body is not JSON: {str(error)[:200]}"
        raise InvalidInput(rule, reason="JSON_BROKEN") from None
    except (ValueError, OverflowError, binascii.Error) as error:
        raise InvalidInput(f"a number or text does not fit: {error}"[:300]) from None


def enum(sent: Integer, names: Mapping[str, int]) -> int:
    """The number of an enum that is sent as a number or by its name."""
    named = names.get(sent) if isinstance(sent, str) else None
    return int(sent) if named is None else named


def _decoded(body: bytes, type: Any) -> Any:
    try:
        return parsed(body, type)
    except msgspec.ValidationError:
        if b"null" not in body:
            raise
        return msgspec.convert(_without_nulls(parsed(body, Any)), type)


def _without_nulls(value: Any) -> Any:
    """The same without fields that are null: such a field has its default value."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def attributes(made: Any, sent: Sequence[Attribute], depth: int = 0) -> None:
    """Fills attributes; ValueError for those that are nested too deep."""
    if depth > _DEEPEST:
        raise ValueError(f"attributes are nested deeper than {_DEEPEST}: flatten them")
    for each in sent:
        attribute = made.add(key=each.key)
        if each.value is not None:
            value(attribute.value, each.value, depth)


def value(made: common_pb2.AnyValue, sent: Value, depth: int) -> None:
    """Fills a value; ValueError for one that is nested too deep."""
    if sent.string_value is not None:
        made.string_value = sent.string_value
    elif sent.bool_value is not None:
        made.bool_value = sent.bool_value
    elif sent.int_value is not None:
        made.int_value = int(sent.int_value)
    elif sent.double_value is not None:
        made.double_value = float(sent.double_value)
    elif sent.bytes_value is not None:
        made.bytes_value = base64.b64decode(sent.bytes_value)
    elif sent.array_value is not None:
        if depth > _DEEPEST:
            raise ValueError(f"attributes are nested deeper than {_DEEPEST}: flatten them")
        made.array_value.SetInParent()
        for each in sent.array_value.values:
            value(made.array_value.values.add(), each, depth + 1)
    elif sent.kvlist_value is not None:
        made.kvlist_value.SetInParent()
        attributes(made.kvlist_value.values, sent.kvlist_value.values, depth + 1)
