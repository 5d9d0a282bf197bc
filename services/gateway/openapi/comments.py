"""The comments of the contract, from the descriptor set that `make protos` writes beside the stubs.

Generated code carries no comments. Without the file everything works, only less is told.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final, Protocol

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

FILE_NAME: Final = "contract.binpb"

_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_FIELD = _VALUE = _METHOD = 2
_NESTED_MESSAGE, _NESTED_ENUM = 3, 4

Path = tuple[int, ...]


class _NamedDescriptor(Protocol):
    @property
    def name(self) -> str: ...


class Comments:
    """Leading comments by full name: of services, methods, messages, fields, enums, values."""

    def __init__(self, descriptor_set: bytes = b"") -> None:
        """Reads a FileDescriptorSet with source info."""
        self._text_by_name = {
            name: text
            for file in FileDescriptorSet.FromString(descriptor_set).file
            for name, text in _comments(file)
        }

    @classmethod
    @cache
    def of_contract(cls) -> "Comments":
        """Those of our own contract; none when the file is not there."""
        source = files("sensus").joinpath(FILE_NAME)
        return cls(source.read_bytes() if source.is_file() else b"")

    def of(self, full_name: str) -> str:
        """The comment of a thing; empty for none."""
        return self._text_by_name.get(full_name, "")


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    text_by_path = {
        tuple(location.path): _unwrapped(location.leading_comments)
        for location in file.source_code_info.location
        if location.leading_comments
    }
    for path, name in _names(file):
        if path in text_by_path:
            yield name, text_by_path[path]


def _names(file: FileDescriptorProto) -> Iterator[tuple[Path, str]]:
    for place, message in enumerate(file.message_type):
        yield from _of_message(message, (_MESSAGE, place), file.package)
    for place, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, (_ENUM, place), file.package)
    for place, service in enumerate(file.service):
        yield from _of_service(service, (_SERVICE, place), file.package)


def _of_message(message: DescriptorProto, path: Path, scope: str) -> Iterator[tuple[Path, str]]:
    name = f"{scope}.{message.name}"
    yield path, name
    yield from _members(message.field, (*path, _FIELD), name)
    for place, nested in enumerate(message.nested_type):
        yield from _of_message(nested, (*path, _NESTED_MESSAGE, place), name)
    for place, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, (*path, _NESTED_ENUM, place), name)


def _of_enum(enum: EnumDescriptorProto, path: Path, scope: str) -> Iterator[tuple[Path, str]]:
    name = f"{scope}.{enum.name}"
    yield path, name
    yield from _members(enum.value, (*path, _VALUE), name)


def _of_service(
    service: ServiceDescriptorProto, path: Path, scope: str
) -> Iterator[tuple[Path, str]]:
    name = f"{scope}.{service.name}"
    yield path, name
    yield from _members(service.method, (*path, _METHOD), name)


def _members(
    members: Sequence[_NamedDescriptor], path: Path, scope: str
) -> Iterator[tuple[Path, str]]:
    for place, member in enumerate(members):
        yield (*path, place), f"{scope}.{member.name}"


def _unwrapped(comment: str) -> str:
    """Lines joined to paragraphs."""
    paragraphs = "\n".join(line.strip() for line in comment.strip().splitlines()).split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
