"""Services with what they have open, for the wire."""

from collections.abc import Mapping

from sensus.incidents.v1 import incidents_service_pb2 as pb
from services.incidents.clients.callgraph import Calls
from services.incidents.convert.common import text
from services.incidents.store.services import ServiceStatus


def service_query(request: pb.ListServicesRequest) -> str:
    """Part of the name.

    Raises:
        InvalidInput: INVALID_QUERY.
    """
    return text("query", request.query, 200, "INVALID_QUERY")


def service(known: ServiceStatus, calls: Mapping[str, Calls]) -> pb.ServiceStatus:
    """What is open at a service, with its calls where there are some."""
    counted = calls.get(known.service)
    return pb.ServiceStatus(
        service=known.service,
        firing_alerts=pb.SeverityCounts(
            critical=known.critical_alerts, warning=known.warning_alerts, info=known.info_alerts
        ),
        firing_anomalies=pb.SeverityCounts(
            critical=known.critical_anomalies,
            warning=known.warning_anomalies,
            info=known.info_anomalies,
        ),
        recent_anomalies=known.recent_anomalies,
        open_incidents=known.open_incidents,
        calls=_calls(counted) if counted else None,
    )


def _calls(counted: Calls) -> pb.ServiceCalls:
    return pb.ServiceCalls(
        received=counted.received, errors=counted.errors, callees=sorted(counted.callees)
    )
