"""X-Correlation-ID: taken when it is fit for a log line, made when not, always sent back."""

import os
import re
from typing import Final

from starlette.types import Scope

from services.gateway.http.headers import HeaderList, header_of

_KEY: Final = "sensus.correlation_id"
_HEADER: Final = b"x-correlation-id"
_FIT: Final = re.compile(r"[A-Za-z0-9._:/-]{1,128}")


def identify(scope: Scope) -> None:
    """Gives the request its id."""
    given = header_of(scope, _HEADER)
    scope[_KEY] = given if given and _FIT.fullmatch(given) else os.urandom(16).hex()


def correlation_id(scope: Scope) -> str:
    """The id of a request."""
    return str(scope.get(_KEY, ""))


def add_header(headers: HeaderList, scope: Scope) -> None:
    """Tells the caller the id."""
    headers.append((_HEADER, correlation_id(scope).encode()))
