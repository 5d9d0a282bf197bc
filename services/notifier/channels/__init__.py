"""The ways to receivers: notices in the form of each server, its answers as outcomes."""
