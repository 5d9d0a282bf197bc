"""What the detector asks of other services."""
