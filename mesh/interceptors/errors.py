"""Any exception of a handler becomes one status. What we did not foresee is masked and logged."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_status import rpc_status
from opentelemetry import trace

from mesh.errors import Internal, public_error, to_status
from mesh.interceptors.around import Context, Handler, around
from mesh.metrics import ERRORS_MASKED

logger = logging.getLogger(__name__)


class ErrorMapping:
    """The only place where an exception turns into a status."""

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Puts the translation around a handler."""

        @asynccontextmanager
        async def scope(context: Context) -> AsyncIterator[Context]:
            try:
                yield context
            except grpc.aio.AbortError:
                raise
            except grpc.aio.InternalError as error:
                logger.info("the client left while it was written to", extra={"rpc_method": method})
                raise asyncio.CancelledError from error
            except Exception as error:
                await _abort(context, method, error)

        return around(handler, scope)


async def _abort(context: Context, method: str, error: Exception) -> None:
    shown = public_error(error)
    current = trace.get_current_span()
    current.set_attribute("error.type", shown.reason)
    if isinstance(shown, Internal):
        current.record_exception(error)
        ERRORS_MASKED.labels(method).inc()
        note = {"error_id": shown.error_id, "rpc_method": method}
        logger.error("unforeseen error", exc_info=error, extra=note)
    await context.abort_with_status(rpc_status.to_status(to_status(shown)))
