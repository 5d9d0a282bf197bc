"""What keeps a consumer going after an error that nobody foresaw."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from mesh.errors import SensusError, Unavailable

logger = logging.getLogger(__name__)


@contextmanager
def surviving(stream: str) -> Iterator[None]:
    """Inside, one session of a stream runs.

    Raises:
        Unavailable: In place of an unforeseen error, which is logged: the stream is opened again.
        SensusError, grpc.RpcError: As they come.
    """
    try:
        yield
    except (SensusError, grpc.RpcError):
        raise
    except Exception as error:
        error_id = uuid.uuid4().hex
        logger.exception("unforeseen error", extra={"stream": stream, "error_id": error_id})
        raise Unavailable(f"internal error {error_id}") from error
