"""The configuration of a Prometheus that scrapes every service of one installation."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from observability.rules.render import RULE_FILES
from observability.services import in_the_mesh

_HEAD: Final = (
    "# Made by `make observability`: every service by its name, as in compose.yaml.\n"
    "# OpenMetrics is asked for by itself; exemplars need --enable-feature=exemplar-storage.\n"
)


def prometheus_text() -> str:
    """For the addresses of compose.yaml."""
    targets = {each.name: f"{each.name}:{each.metrics_port}" for each in in_the_mesh()}
    return _HEAD + yaml.safe_dump(
        configuration(targets, rules=RULE_FILES, alertmanager="alertmanager:9093"),
        sort_keys=False,
        width=100,
    )


def configuration(
    targets: Mapping[str, str], *, rules: tuple[str, ...], alertmanager: str, pace: str = "15s"
) -> dict[str, Any]:
    """Scrapes each of `targets` (address by service) at `pace`, with the label `service`."""
    return {
        "global": {"scrape_interval": pace, "evaluation_interval": pace},
        "rule_files": list(rules),
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            {
                "job_name": "sensus",
                "static_configs": [
                    {"targets": [target], "labels": {"service": service}}
                    for service, target in targets.items()
                ],
            }
        ],
    }
