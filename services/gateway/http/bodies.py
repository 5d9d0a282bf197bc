"""Request bodies: JSON in, typed values out, and a violation that names the field when it fails."""

import asyncio
import re
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mesh.errors import InvalidInput, Violation
from services.gateway.http.problems import JSON, UnsupportedMediaType

T = TypeVar("T")

OFF_LOOP_BYTES: Final = 64 * 1024
"""Bodies above this are decoded in a thread: a megabyte of JSON takes milliseconds."""

_AT: Final = re.compile(r"^(?P<told>.*?)(?: - at `(?:key in )?\$\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"field `([^`]+)`")


async def read_json(request: Request) -> bytes:
    """The body of a request that says it is JSON.

    Raises:
        UnsupportedMediaType: It says something else, or has an encoding.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON and not media_type.endswith("+json"):
        told = f"send Content-Type: {JSON}, not {media_type[:100] or 'none'}"
        raise UnsupportedMediaType(told)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the body without Content-Encoding")
    return await request.body()


async def decoded(request: Request, type: type[T]) -> T:
    """The JSON body of a request as `type`.

    Raises:
        InvalidInput: JSON_BROKEN, or INVALID_FIELD naming the field.
    """
    body = await read_json(request)
    if len(body) > OFF_LOOP_BYTES:
        return await asyncio.to_thread(decode, body, type)
    return decode(body, type)


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


def json_response(content: object, status_code: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(content), status_code=status_code, media_type=JSON)


def _invalid(text: str) -> InvalidInput:
    match = _AT.match(text)
    told, field = (match["told"], match["field"] or "") if match else (text, "")
    named = _FIELD.search(told)
    parts = [field, named[1] if named and "missing" in told else ""]
    path = ".".join(part for part in parts if part).replace(".[", "[")
    message = f"{path}: {told}" if path else told
    violations = [Violation(path, told)] if path else []
    return InvalidInput(message, reason="INVALID_FIELD", violations=violations)
