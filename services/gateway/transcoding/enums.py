"""Enums as people write them: `firing` beside `ALERT_STATE_FIRING`."""

from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from mesh.errors import InvalidInput, Violation


def short_names(enum: Any) -> list[str]:
    """The values without the enum's own prefix, in lower case; the unspecified one is left out."""
    prefix = _prefix(enum)
    return [value.name.removeprefix(prefix).lower() for value in enum.values if value.number]


def enum_name(field: FieldDescriptor, text: str, path: str) -> str:
    """The name of the contract for a name or a number as a client wrote it.

    Raises:
        InvalidInput: There is no such value; tells which there are.
    """
    enum: Any = field.enum_type
    named = text.strip().upper().replace("-", "_")
    for name in (named, _prefix(enum) + named):
        if name in enum.values_by_name:
            return name
    if text.isascii() and text.isdecimal() and int(text[:9]) in enum.values_by_number:
        return str(enum.values_by_number[int(text[:9])].name)
    rule = f"must be one of {', '.join(short_names(enum))}"
    raise InvalidInput(
        f"{path}: {rule}", reason="INVALID_FIELD", violations=[Violation(path, rule)]
    )


def with_enum_names(content: Any, message: Any, path: str = "") -> Any:
    """JSON of a message in which every enum has its name of the contract.

    What does not have the form of the message is left for protobuf to refuse.

    Raises:
        InvalidInput: A value that its enum does not have.
    """
    if not isinstance(content, dict) or not _holds_enums(message):
        return content
    return {name: _value(message, name, value, path) for name, value in content.items()}


def _value(message: Any, name: str, value: Any, path: str) -> Any:
    field = _field(message, name)
    if field is None:
        return value
    here = f"{path}.{field.json_name}" if path else field.json_name
    if field.is_repeated and isinstance(value, list):
        return [_one(field, each, f"{here}[{place}]") for place, each in enumerate(value)]
    return _one(field, value, here)


def _one(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.enum_type is not None and value is not None:
        return enum_name(field, str(value), path)
    if field.message_type is not None:
        return with_enum_names(value, field.message_type, path)
    return value


def _field(message: Any, name: str) -> FieldDescriptor | None:
    found: FieldDescriptor | None = message.fields_by_camelcase_name.get(name)
    return found or message.fields_by_name.get(name)


@cache
def _holds_enums(message: Any) -> bool:
    """Whether an enum may stand anywhere in it."""
    seen: set[str] = set()
    waiting = [message]
    while waiting:
        current = waiting.pop()
        if current.full_name in seen:
            continue
        seen.add(current.full_name)
        if any(field.enum_type is not None for field in current.fields):
            return True
        waiting += [field.message_type for field in current.fields if field.message_type]
    return False


@cache
def _prefix(enum: Any) -> str:
    """`ALERT_STATE_` of `ALERT_STATE_UNSPECIFIED`."""
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")
