"""No body larger than we are ready to hold, whatever it claims."""

from starlette.types import Scope

from services.gateway.http.headers import header_of
from services.gateway.http.problems import BodyTooLarge


def check_claim(scope: Scope, max_bytes: int) -> None:
    """Refuses by Content-Length, before anything is read; errors as of `check`."""
    claimed = header_of(scope, b"content-length")
    if claimed.isdecimal():
        check(int(claimed), max_bytes)


def check(size_bytes: int, max_bytes: int) -> None:
    """Refuses a body of which so much has come.

    Raises:
        BodyTooLarge: It is more than `max_bytes`.
    """
    if size_bytes > max_bytes:
        message = f"the body is larger than {max_bytes} bytes: send it in parts"
        raise BodyTooLarge(message, metadata={"max_bytes": str(max_bytes)})
