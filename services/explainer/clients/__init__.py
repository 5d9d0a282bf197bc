"""The services that are asked for evidence, in terms of the domain."""

from services.explainer.clients.detector import DetectorClient
from services.explainer.clients.ingest import IngestClient
from services.explainer.clients.topology import TopologyClient

__all__ = ["DetectorClient", "IngestClient", "TopologyClient"]
