"""The exam: faults in a shop that unmodified OpenTelemetry packages watch, and who is named."""
