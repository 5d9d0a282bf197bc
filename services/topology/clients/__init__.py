"""The services that are told."""
