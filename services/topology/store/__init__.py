"""The only SQL of topology."""
