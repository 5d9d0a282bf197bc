"""X-Correlation-ID: taken when it is fit for a log line, made when not, always sent back."""

import re
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "X-Correlation-ID"
_FIT: Final = re.compile(r"[A-Za-z0-9._:/-]{1,128}")


class Correlation:
    """Puts the id into the scope as `sensus.correlation_id` and into the answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = Headers(scope=scope).get(HEADER, "")
        chosen = given if _FIT.fullmatch(given) else uuid.uuid4().hex
        scope["sensus.correlation_id"] = chosen

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = chosen
            await send(message)

        return await self._app(scope, receive, stamped)
