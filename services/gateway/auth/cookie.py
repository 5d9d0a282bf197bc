"""The refresh token of a browser: in a cookie that no script can read and no other site sends."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mesh.errors import PermissionDenied, Unauthenticated

_NAME: Final = "sensus_refresh"
_PATH: Final = "/api/v1/auth"


def keep(response: Response, refresh_token: str, ttl_s: int) -> None:
    """Gives the browser the token. `Secure`: by HTTPS, or from the machine itself by localhost."""
    response.set_cookie(
        _NAME,
        refresh_token,
        max_age=ttl_s,
        path=_PATH,
        secure=True,
        httponly=True,
        samesite="strict",
    )


def forget(response: Response) -> None:
    """Takes it away."""
    response.delete_cookie(_NAME, path=_PATH, secure=True, httponly=True, samesite="strict")


def kept(request: Request) -> str:
    """The token that the browser kept.

    Raises:
        PermissionDenied: CROSS_SITE, the page that asks is not ours.
        Unauthenticated: SESSION_MISSING.
    """
    if request.headers.get("sec-fetch-site") != "same-origin":
        message = "only a page of this address may go on with its session: send Sec-Fetch-Site"
        raise PermissionDenied(message, reason="CROSS_SITE")
    token = request.cookies.get(_NAME, "")
    if not token:
        raise Unauthenticated("this browser has no session: log in", reason="SESSION_MISSING")
    return token
