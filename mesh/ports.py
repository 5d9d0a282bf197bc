"""Default ports, one place for all processes."""

from typing import Final

INGEST: Final = 50051
DETECTOR: Final = 50052
EXPLAINER: Final = 50053
INCIDENTS: Final = 50054
NOTIFIER: Final = 50055
TOPOLOGY: Final = 50056
GATEWAY: Final = 8080
GATEWAY_GRPC: Final = 50050

OTLP_GRPC: Final = 4317
OTLP_HTTP: Final = 4318
"""Where senders of OpenTelemetry look by themselves."""

METRICS_INGEST: Final = 9461
METRICS_DETECTOR: Final = 9462
METRICS_EXPLAINER: Final = 9463
METRICS_INCIDENTS: Final = 9464
METRICS_NOTIFIER: Final = 9465
METRICS_TOPOLOGY: Final = 9466
METRICS_AGENT: Final = 9467
