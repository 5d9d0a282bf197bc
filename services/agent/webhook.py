"""Readings posted to a webhook as JSON, each once: the newest matters, an old one is not kept."""

import asyncio
import http.client
import json
import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from urllib import request
from urllib.parse import urlsplit

import psutil

from mesh.config import ConfigError
from services.agent.machine import Machine, Reading
from services.agent.metrics import POSTS

_TIMEOUT_S: Final = 10.0
_MEMORY: Final = {
    "total_bytes": "node_memory_MemTotal_bytes",
    "available_bytes": "node_memory_MemAvailable_bytes",
    "free_bytes": "node_memory_MemFree_bytes",
}

logger = logging.getLogger(__name__)


class WebhookPublisher:
    """Posts the state of the machine; a post that fails is logged, counted and not repeated."""

    def __init__(self, url: str, machine: Machine, labels: dict[str, str]) -> None:
        """Posts to `url` what `machine` has read.

        Raises:
            ConfigError: It is no http or https URL.
        """
        if not _can_post_to(url):
            raise ConfigError(
                "SENSUS_AGENT_WEBHOOK_URL: must begin with http:// or https:// and name a host"
            )
        self._url = url
        self._machine = machine
        self._labels = labels
        self._failed = False

    async def publish(self, reading: Reading) -> None:
        """Returns when the post was answered, or has failed."""
        body = json.dumps(document(reading, self._machine.cpu.busy_cores, self._labels)).encode()
        try:
            await asyncio.to_thread(self._post, body)
        except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: redirects
            POSTS.labels("failed").inc()
            if not self._failed:
                logger.warning("the webhook does not answer", extra={"cause": str(error)})
            self._failed = True
        else:
            POSTS.labels("ok").inc()
            self._failed = False

    def _post(self, body: bytes) -> None:
        headers = {"content-type": "application/json", "user-agent": "sensus-agent"}
        post = request.Request(self._url, body, headers)  # noqa: S310 - checked at the start
        with request.urlopen(post, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            answer.read(1)


def _can_post_to(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return parts.scheme in ("http", "https") and named and plain


def document(
    reading: Reading, busy_cores: Iterable[float], labels: dict[str, str]
) -> dict[str, Any]:
    """The JSON: percentages from 0 to 100, sizes in bytes, the disk of the root directory."""
    by_name = {each.name: each.value for each in reading.values if not each.labels}
    per_cpu = [round(100 * share, 1) for share in busy_cores]
    total, available = (by_name[_MEMORY[key]] for key in ("total_bytes", "available_bytes"))
    return {
        "host": labels["instance"],
        "timestamp": datetime.fromtimestamp(reading.timestamp_ms / 1000, UTC).isoformat(),
        "cpu": {
            "usage_percent": round(100 * by_name["node_cpu_utilization_ratio"], 1),
            "count": len(per_cpu),
            "per_cpu": per_cpu,
        },
        "memory": {
            **{key: int(by_name[name]) for key, name in _MEMORY.items()},
            "used_bytes": int(total - available),
            "usage_percent": _percent(total - available, total),
        },
        "disk": _disk(),
        "load": [by_name[f"node_load{minutes}"] for minutes in (1, 5, 15)],
        "uptime_seconds": round(by_name["node_uptime_seconds"]),
        "processes": int(by_name["node_processes_pids"]),
    }


def _disk() -> dict[str, Any]:
    usage = psutil.disk_usage(os.sep)
    return {
        "total_bytes": usage.total,
        "used_bytes": usage.used,
        "free_bytes": usage.free,
        "usage_percent": usage.percent,
    }


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0
