"""The explainer as incidents meet it: explanations by script."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as explainer_grpc
from tests.explainer.peers.serving import served

_SERVICE = explainer_pb.DESCRIPTOR.services_by_name["ExplainerService"].full_name


class Explainer(explainer_grpc.ExplainerServiceServicer):
    """A log of explanations that ended."""

    def __init__(self) -> None:
        """Empty."""
        self.explanations: list[explainer_pb.Explanation] = []
        self._grown = asyncio.Event()

    def explain(self, alert_id: str, suspect: str, confidence: float) -> None:
        """An alert is explained, once more or for the first time."""
        found = explainer_pb.Explanation(
            explanation_id=f"e{len(self.explanations)}",
            subject=explainer_pb.Subject(alert_id=alert_id),
            state=explainer_pb.EXPLANATION_STATE_DONE,
            root_cause=f"{suspect} is the cause",
            confidence=confidence,
            suspects=[explainer_pb.Suspect(entity=suspect, confidence=confidence)],
        )
        self.explanations.append(found)
        self._grown.set()

    async def WatchExplanations(
        self, request: explainer_pb.WatchExplanationsRequest, context: Any
    ) -> AsyncIterator[explainer_pb.WatchExplanationsResponse]:
        """Those behind the cursor, as they come."""
        place = request.after_cursor
        while True:
            while place < len(self.explanations):
                place += 1
                yield explainer_pb.WatchExplanationsResponse(
                    cursor=place, explanation=self.explanations[place - 1]
                )
            beat = explainer_pb.WatchHeartbeat()
            yield explainer_pb.WatchExplanationsResponse(cursor=place, heartbeat=beat)
            self._grown.clear()
            try:
                await asyncio.wait_for(self._grown.wait(), 1)
            except TimeoutError:
                continue


def served_explainer(explainer: Explainer) -> Any:
    """The explainer on a free port."""
    return served(
        _SERVICE, lambda s: explainer_grpc.add_ExplainerServiceServicer_to_server(explainer, s)
    )
