"""One log line is one JSON object on stderr, with the trace it belongs to."""

import logging
import sys
from typing import Any, Final

from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter

from mesh.telemetry.sampling import Sampling

_CYGRPC: Final = "grpc._cython.cygrpc"
_RENAMED: Final = {"levelname": "level", "name": "logger"}
_CONSOLE: Final = "%(asctime)s %(levelname)-7s %(service)s %(name)s: %(message)s"


class _Origin(logging.Filter):
    """Adds the service and the current trace to each record."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def filter(self, record: logging.LogRecord) -> bool:
        record.service = self._service
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = trace.format_trace_id(context.trace_id)
            record.span_id = trace.format_span_id(context.span_id)
        return True


class _ConsoleFormatter(logging.Formatter):
    """The message, then what was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        extras = " ".join(f"{key}={value}" for key, value in _extras(record).items())
        text = super().format(record)
        head, newline, rest = text.partition("\n")
        return f"{head}  {extras}{newline}{rest}" if extras else text


class _GrpcioFilter(logging.Filter):
    """What grpcio logs of a caller's fault: the bytes that were sent and a traceback, left out."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == _CYGRPC and str(record.msg).startswith("Invalid encoding"):
            record.msg, record.args = "metadata of a caller is not UTF-8", ()
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


_QUIET: Final = ("asyncio", "httpx", "httpcore", "apprise")
"""They tell what only warnings are wanted of; the clients tell whole addresses, secrets and all."""


def configure_logs(service: str, level: str, form: str) -> Sampling:
    """Sends the logs of the whole process to stderr, as `json` or for the `console`.

    Returns:
        What bounds them; its `report` is to be called now and then.
    """
    handler = logging.StreamHandler(sys.stderr)
    sampling = Sampling()
    for each in (_GrpcioFilter(), sampling, _Origin(service)):
        handler.addFilter(each)
    handler.setFormatter(_json() if form == "json" else _ConsoleFormatter(_CONSOLE))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    return sampling


def _json() -> logging.Formatter:
    return JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields=_RENAMED | {"asctime": "timestamp"},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    own = _PLAIN_RECORD.keys() | {"message", "asctime", "service"}
    return {key: value for key, value in record.__dict__.items() if key not in own}


_PLAIN_RECORD: Final = logging.makeLogRecord({}).__dict__
