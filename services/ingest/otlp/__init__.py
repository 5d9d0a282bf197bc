"""OTLP as rows. Pure: no clock, no I/O."""
