"""Headers as ASGI carries them: every request passes here several times, so without wrappers."""

import re
from typing import Final, TypeAlias

from starlette.types import Scope

HeaderList: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case, in the order in which they are sent."""
_IS_ZERO: Final = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")


def header_of(scope: Scope, name: bytes) -> str:
    """The first header of that name, which is in lower case; empty for none."""
    for given, value in scope["headers"]:
        if given == name:
            return bytes(value).decode("latin-1")
    return ""


def takes_gzip(scope: Scope) -> bool:
    """Whether the caller says that it reads gzip (RFC 9110, 12.5.3)."""
    for each in header_of(scope, b"accept-encoding").lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return not _IS_ZERO.fullmatch(weight)
    return False
