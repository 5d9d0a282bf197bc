"""No body larger than we are ready to hold, whatever it claims, and none that stalls."""

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.http.problems import BodyTooLarge, BodyTooSlow

_PART_S: Final = 30.0


class BodyLimit:
    """Refuses by Content-Length at once, and by counting and timing while the body comes."""

    def __init__(self, app: ASGIApp, max_bytes: int, part_s: float = _PART_S) -> None:
        """Wraps `app`; each part of a body must come within `part_s`."""
        self._app = app
        self._max_bytes = max_bytes
        self._part_s = part_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        claimed = Headers(scope=scope).get("content-length", "")
        if claimed.isdecimal() and int(claimed) > self._max_bytes:
            raise self._too_large()
        taken, is_whole = 0, False

        async def counted() -> Message:
            nonlocal taken, is_whole
            message = await (receive() if is_whole else self._in_time(receive))
            is_whole = is_whole or not message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > self._max_bytes:
                raise self._too_large()
            return message

        return await self._app(scope, counted, send)

    async def _in_time(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._part_s):
                return await receive()
        except TimeoutError:
            raise BodyTooSlow(f"the body stalls for {self._part_s:g} s: send it again") from None

    def _too_large(self) -> BodyTooLarge:
        told = f"the body is larger than {self._max_bytes} bytes: send it in parts"
        return BodyTooLarge(told, metadata={"max_bytes": str(self._max_bytes)})
