"""The methods that a stranger calls: the long-lived one of each service, and a unary one."""

from typing import Final

UNARY: Final = {
    "ingest": b"/sensus.ingest.v1.IngestService/WriteBatch",
    "detector": b"/sensus.detector.v1.DetectorService/ListAnomalies",
    "explainer": b"/sensus.explainer.v1.ExplainerService/ListExplanations",
    "incidents": b"/sensus.incidents.v1.IncidentsService/ListIncidents",
    "notifier": b"/sensus.notifier.v1.NotifierService/ListNotices",
    "topology": b"/sensus.topology.v1.TopologyService/ListEdges",
}
METHODS: Final = UNARY | {
    "ingest": b"/sensus.ingest.v1.IngestService/WriteSamples",
    "detector": b"/sensus.detector.v1.DetectorService/Score",
    "explainer": b"/sensus.explainer.v1.ExplainerService/Explain",
    "incidents": b"/sensus.incidents.v1.IncidentsService/WatchIncidents",
}
GRPC_SERVICES: Final = tuple(UNARY)
