"""Dashboards of Grafana: an overview, the objectives, and one for each service."""

from observability.dashboards.dashboard import Dashboard
from observability.dashboards.overview import OVERVIEW
from observability.dashboards.service import of_service
from observability.dashboards.slo import SLO
from observability.services import services


def dashboards() -> list[Dashboard]:
    """All of them; a new service has one by itself."""
    return [OVERVIEW, SLO, *(of_service(each) for each in services())]
