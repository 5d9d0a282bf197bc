"""Bodies as senders write them: gzip, any charset, a BOM, and JSON that is only nearly JSON."""

import json
import re
import zlib
from functools import lru_cache
from typing import Any, Final

import msgspec
from starlette.requests import Request

from mesh.errors import InvalidInput
from services.gateway.http.bodies import off_loop, whole_body
from services.gateway.http.headers import header_of
from services.gateway.http.problems import JSON, UnsupportedMediaType
from services.gateway.intake.compressed import inflated

_UTF8_NAMES: Final = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
_CHARSET: Final = re.compile(r'charset\s*=\s*"?([\w.:-]+)', re.IGNORECASE)
_NO_CHARSETS: Final = frozenset(
    {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"}
)
"""What Python can decode and no sender writes: escapes, host names, and one that always fails."""
_UTF8: Final = re.compile(rb"[\[{][^\0]")
"""How nearly every body begins; in UTF-16 and UTF-32 there is a zero byte."""
_BOM: Final = b"\xef\xbb\xbf"
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_DIGITS_MAX: Final = 400


async def read_body(request: Request, max_bytes: int, *, any_type: bool) -> bytes:
    """The body as UTF-8, inflated.

    Args:
        request: Whose body is read.
        max_bytes: Most bytes after inflating.
        any_type: Takes the body whatever Content-Type says.

    Raises:
        UnsupportedMediaType: The type or the encoding is none that is read here.
        BodyTooLarge: It inflates to more.
        InvalidInput: BODY_BROKEN, it is not what Content-Encoding says.
    """
    media_type, charset = _type_of(header_of(request.scope, b"content-type"))
    if not (any_type or media_type == JSON or media_type.endswith("+json")):
        message = f"send Content-Type: {JSON}, not {media_type[:100] or 'none'}"
        raise UnsupportedMediaType(message)
    encoding = header_of(request.scope, b"content-encoding").strip().lower()
    body = await whole_body(request)
    if encoding in ("gzip", "x-gzip", "deflate"):
        body = await off_loop(body, inflated, body, max_bytes, _GZIP_OR_ZLIB)
    elif encoding not in ("identity", ""):
        rule = f"Content-Encoding {encoding[:20]!r}: send gzip, deflate or none"
        raise UnsupportedMediaType(rule)
    return await off_loop(body, _utf8, body, charset)


@lru_cache(64)
def _type_of(content_type: str) -> tuple[str, str]:
    """The media type and the charset, both in lower case and empty where there is none."""
    named = _CHARSET.search(content_type)
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type, named[1].lower() if named else ""


def parsed(body: bytes, type: Any) -> Any:
    """A body as `type`; what is only nearly JSON (NaN, control characters) is read all the same.

    Raises:
        msgspec.ValidationError: It is JSON of another form.
        InvalidInput: JSON_BROKEN.
    """
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.decode(_repaired(body), type=type)


def _repaired(body: bytes) -> bytes:
    """Strict JSON of the same content; numbers that JSON does not have become texts."""
    try:
        content = json.loads(body, strict=False, parse_constant=str, parse_int=_integer)
        return json.dumps(content, ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError) as error:
        message = f"the body is not JSON: {str(error)[:200]}"
        raise InvalidInput(message, reason="JSON_BROKEN") from None


def _integer(digits: str) -> int | str:
    return digits if len(digits) > _DIGITS_MAX else int(digits)


def _utf8(body: bytes, charset: str) -> bytes:
    """The same text as UTF-8; bytes that are no text become U+FFFD."""
    if charset in _UTF8_NAMES or charset.replace("-", "_") in _NO_CHARSETS:
        charset = "utf-8" if _UTF8.match(body) else json.detect_encoding(body)
    try:
        if charset in ("utf-8", "utf-8-sig"):
            body.decode()
            return body.removeprefix(_BOM)
        text = body.decode(charset, errors="replace")
    except (LookupError, UnicodeError):
        text = body.decode(errors="replace")
    return text.removeprefix("\ufeff").encode(errors="replace")
