"""The services that are asked."""
