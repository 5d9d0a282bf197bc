"""Headers as ASGI carries them: every request passes here several times, so without wrappers."""

from typing import TypeAlias

from starlette.types import Scope

HeaderList: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case, in the order in which they are sent."""


def header_of(scope: Scope, name: bytes) -> str:
    """The first header of that name, which is in lower case; empty for none."""
    for given, value in scope["headers"]:
        if given == name:
            return bytes(value).decode("latin-1")
    return ""
