"""One run of an explanation: its frames are numbered, made durable, then shown."""

import asyncio
from uuid import UUID

from services.explainer.convert import encode_explanation, encode_frame, encode_result
from services.explainer.jobs.feed import Feed
from services.explainer.model.explanation import Claim, Explanation
from services.explainer.model.frames import Frame
from services.explainer.store import Ending, Frames


class Run:
    """Writes under one claim. A frame that a stream has shown never changes, whoever runs next.

    A run that takes over goes on after the last stored frame and tells its stages anew; clients see
    a stage begin twice, and no sequence twice.
    """

    def __init__(self, claim: Claim, frames: Frames, feed: Feed) -> None:
        """Continues after the frames that `feed` already has."""
        self.claim = claim
        self._frames = frames
        self._feed = feed
        self._writing = asyncio.Lock()

    @property
    def explanation_id(self) -> UUID:
        """What is run."""
        return self.claim.explanation_id

    async def emit(self, *frames: Frame) -> None:
        """Appends frames, all or none; returns when they are durable and shown.

        Raises:
            OwnershipLostError: Another run has taken over.
        """
        async with self._writing:
            last = self._feed.last_sequence
            encoded = [
                encode_frame(self.explanation_id, sequence, frame)
                for sequence, frame in enumerate(frames, start=last + 1)
            ]
            await self._frames.append(self.explanation_id, self.claim.owner, last, encoded)
            self._feed.extend(encoded)

    async def finish(self, explanation: Explanation, *, trace_id: str, finish_us: int) -> None:
        """Commits the result and its frame in one transaction.

        Raises:
            OwnershipLostError: Another run has taken over.
        """
        result, headline = encode_explanation(
            self.claim, explanation, trace_id=trace_id, finish_us=finish_us
        )
        async with self._writing:
            last = self._feed.last_sequence
            frame = encode_result(self.explanation_id, last + 1, result)
            ending = Ending(
                state=explanation.state,
                verdict=explanation.verdict,
                result=result,
                headline=headline,
                trace_id=trace_id,
            )
            await self._frames.finish(self.explanation_id, self.claim.owner, last, frame, ending)
            self._feed.extend([frame], finished=True)
