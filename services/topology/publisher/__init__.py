"""What was counted, handed on: series to ingest, deploys to the explainer."""

from services.topology.publisher.deploys import Deploys
from services.topology.publisher.series import SeriesPublisher

__all__ = ["Deploys", "SeriesPublisher"]
