"""No body larger than we are ready to hold, whatever its Content-Length claims."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.problems import BodyTooLarge


class BodyLimit:
    """Refuses by Content-Length at once, and by counting while the body comes."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        """Wraps `app`."""
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        claimed = Headers(scope=scope).get("content-length", "")
        if claimed.isdecimal() and int(claimed) > self._max_bytes:
            raise self._too_large()
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_bytes:
                raise self._too_large()
            return message

        return await self._app(scope, counted, send)

    def _too_large(self) -> BodyTooLarge:
        told = f"the body is larger than {self._max_bytes} bytes: send it in parts"
        return BodyTooLarge(told, metadata={"max_bytes": str(self._max_bytes)})
