"""Traces, logs and metrics of a process."""

from mesh.telemetry.process import setup
from mesh.telemetry.tracing import parent_of, provider, span, traceparent, tracer

__all__ = ["parent_of", "provider", "setup", "span", "traceparent", "tracer"]
