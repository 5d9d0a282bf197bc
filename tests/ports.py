"""Ports for what a test starts."""

from cli.product.ports import ANY_FREE, settle


def free_port() -> int:
    """A port that nobody listens on, and no outgoing connection will have."""
    return settle(ANY_FREE).gateway
