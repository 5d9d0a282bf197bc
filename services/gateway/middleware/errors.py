"""Whatever is raised becomes one kind of answer; what we did not foresee shows only an id."""

import logging

from starlette.types import Scope

from mesh.errors import Internal, SensusError, public_error
from services.gateway.http.problems import without_429
from services.gateway.http.routing import match_of
from services.gateway.middleware.correlation import correlation_id

logger = logging.getLogger(__name__)


def shown(error: Exception, scope: Scope) -> SensusError:
    """What the caller sees of an error; what nobody foresaw is logged."""
    found = public_error(error)
    if isinstance(found, Internal) and not isinstance(error, SensusError):
        note = {"error_id": found.error_id, "correlation_id": correlation_id(scope)}
        logger.error("unforeseen error", exc_info=error, extra=note)
    endpoint = match_of(scope).endpoint
    return without_429(found) if endpoint and endpoint.webhook else found
