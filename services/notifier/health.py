"""Health of the ways to receivers, as a component of its own: "Slack does not answer"."""

from typing import Final

from mesh.errors import Unavailable
from services.notifier.store import IntegrationStore

RECEIVERS: Final = "receivers"
"""Name under which health tells whether all receivers answer; notices go on without."""


class ReceiverHealth:
    """A probe for `Health`."""

    def __init__(self, integration_store: IntegrationStore) -> None:
        """Asks `integration_store`."""
        self._integration_store = integration_store

    async def __call__(self) -> None:
        """Returns when no way is left alone.

        Raises:
            Unavailable: Names those that are.
        """
        states = await self._integration_store.states()
        away = [
            f"{way.integration} of {way.receiver}"
            for way, state in states.items()
            if state.is_open and state.failures
        ]
        if away:
            raise Unavailable(f"no answer from {', '.join(sorted(away)[:5])}")
