"""One log line is one JSON object on stderr, as of the other services, without their weight."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

_CONSOLE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_RENAMED = {"levelname": "level", "name": "logger", "asctime": "timestamp"}


def configure_logs(level: str, form: str) -> None:
    """Sends the logs of the process to stderr, as `json` or for the `console`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json() if form == "json" else logging.Formatter(_CONSOLE))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _json() -> logging.Formatter:
    return JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields=_RENAMED,
        static_fields={"service": "agent"},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )
