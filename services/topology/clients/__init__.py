"""The services that topology calls."""
