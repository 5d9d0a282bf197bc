"""Prometheus remote write, 1.0 and 2.0, as columns. Pure: no clock, no I/O."""
