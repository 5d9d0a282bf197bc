"""Default ports, one place for all processes."""

from typing import Final

INGEST: Final = 50051
DETECTOR: Final = 50052
EXPLAINER: Final = 50053
GATEWAY: Final = 8080

METRICS_INGEST: Final = 9461
METRICS_DETECTOR: Final = 9462
METRICS_EXPLAINER: Final = 9463
