"""Request bodies: JSON in, typed values out, and a violation that names the field when it fails."""

import asyncio
import re
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mesh.errors import InvalidInput, Violation
from services.gateway.http.problems import JSON, UnsupportedMediaType

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

OFF_LOOP_BYTES: Final = 64 * 1024
"""Bodies above this are decoded in a thread: a megabyte of JSON takes milliseconds."""

_SHOWN_MAX: Final = 60
_AT: Final = re.compile(r"^(?P<rule>.*?)(?: - at `(?:key in )?\$\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"field `([^`]+)`")


async def read_json(request: Request) -> bytes:
    """The body of a request that says it is JSON.

    Raises:
        UnsupportedMediaType: It says something else, or has an encoding.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON and not media_type.endswith("+json"):
        rule = f"send Content-Type: {JSON}, not {media_type[:100] or 'none'}"
        raise UnsupportedMediaType(rule)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the body without Content-Encoding")
    return await request.body()


async def whole_body(request: Request) -> bytes:
    """The body, which can be asked for once; most come in one part, which is not copied.

    Raises:
        ClientDisconnect: Its sender left before it was whole.
    """
    parts: list[bytes] = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def decoded(request: Request, type: type[T]) -> T:
    """The JSON body of a request as `type`, a struct; field names in camel or in snake case.

    Raises:
        InvalidInput: JSON_BROKEN, or INVALID_FIELD naming the field.
    """
    body = await read_json(request)
    return await off_loop(body, _decode_named, body, type)


async def off_loop(body: bytes, read: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls `read`, in a thread when `body` is large enough to hold the loop."""
    return await off_loop_by_size(len(body), read, *args, **kwargs)


async def off_loop_by_size(
    size_bytes: int, read: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Like `off_loop`, of what may take as long as a body of that size."""
    if size_bytes > OFF_LOOP_BYTES:
        return await asyncio.to_thread(read, *args, **kwargs)
    return read(*args, **kwargs)


def decode(body: bytes | msgspec.Raw, type: type[T]) -> T:
    """Decodes JSON.

    Raises:
        InvalidInput: JSON_BROKEN, or INVALID_FIELD naming the field.
    """
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {error}", reason="JSON_BROKEN") from None


def _decode_named(body: bytes, type: type[T]) -> T:
    content = decode(body, object)
    if not isinstance(content, dict):
        return decode(body, type)
    fields = msgspec.structs.fields(type)  # type: ignore[arg-type]
    for field in fields:
        if field.name != field.encode_name and field.name in content:
            if field.encode_name in content:
                raise _invalid(f"give it once - at `$.{field.encode_name}`")
            content[field.encode_name] = content.pop(field.name)
    _check_known(content, type)
    return decode(msgspec.json.encode(content), type)


def _check_known(content: dict[str, object], type: type[T]) -> None:
    config = type.__struct_config__  # type: ignore[attr-defined]
    names = [field.encode_name for field in msgspec.structs.fields(type)]  # type: ignore[arg-type]
    unknown = next((name for name in content if name not in names), None)
    if config.forbid_unknown_fields and unknown is not None:
        raise _invalid(f"is no field here: send {', '.join(names)} - at `$.{unknown[:_SHOWN_MAX]}`")


class JsonResponse(Response):
    """A JSON answer, whose headers cost it nothing to find out."""

    def __init__(self, content: object, status_code: int = 200) -> None:
        """`content` is what msgspec encodes."""
        self.status_code, self.background = status_code, None
        self.body = msgspec.json.encode(content)
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", JSON.encode()),
        ]


def _invalid(text: str) -> InvalidInput:
    match = _AT.match(text)
    rule, field = (match["rule"], match["field"] or "") if match else (text, "")
    named = _FIELD.search(rule)
    parts = [field, named[1] if named and "missing" in rule else ""]
    path = ".".join(part for part in parts if part).replace(".[", "[")
    message = f"{path}: {rule}" if path else rule
    violations = [Violation(path, rule)] if path else []
    return InvalidInput(message, reason="INVALID_FIELD", violations=violations)
