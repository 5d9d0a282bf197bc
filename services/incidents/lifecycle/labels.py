"""What an incident is found and routed by."""

from services.incidents.lifecycle.members import NAMES
from services.incidents.model.incident import Incident


def routing_labels(incident: Incident) -> dict[str, str]:
    """Labels that routing and selectors match, beside those that all members share."""
    found = {"severity": NAMES[incident.severity]}
    if incident.environment:
        found["environment"] = incident.environment
    if len(incident.services) == 1:
        found["service"] = next(iter(incident.services))
    if incident.cause and incident.cause.first_suspect:
        found["suspect"] = incident.cause.first_suspect
    return found
