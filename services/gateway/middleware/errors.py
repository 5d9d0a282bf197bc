"""Whatever is raised becomes one kind of answer; what we did not foresee shows only an id."""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh.errors import Internal, SensusError, known
from services.gateway.http.paths import is_webhook
from services.gateway.http.problems import problem_response, without_429

logger = logging.getLogger(__name__)


class Errors:
    """Maps exceptions. Once the answer has begun there is nothing to map: it is cut off."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            return await self._app(scope, receive, noted)
        except ClientDisconnect:
            return None
        except Exception as error:
            shown = _shown(error, scope)
            if begun:
                raise
        return await problem_response(shown)(scope, receive, send)


def _shown(error: Exception, scope: Scope) -> SensusError:
    shown = known(error)
    if isinstance(shown, Internal) and not isinstance(error, SensusError):
        note = {
            "error_id": shown.error_id,
            "correlation_id": scope.get("sensus.correlation_id", ""),
        }
        logger.error("unforeseen error", exc_info=error, extra=note)
    return without_429(shown) if is_webhook(scope["method"], scope["path"]) else shown
