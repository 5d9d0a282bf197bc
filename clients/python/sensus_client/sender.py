"""A long stream of samples that outlives its server: nothing is lost or doubled."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2_grpc
from sensus_client.batch import Batch, Sample, chunks
from sensus_client.channel import Channel
from sensus_client.errors import Failure, RefusedError, UnavailableError
from sensus_client.outbox import Outbox
from sensus_client.stream import Stream, StreamEndedError

MAX_BATCH_SAMPLES: Final = 5000

_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 10.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One sample that was refused: its row in the batch, from 0, and why."""

    row: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What became of one batch, which is durable now.

    Attributes:
        sequence: The batch.
        accepted: Samples stored, now or by an earlier copy.
        duplicate: An earlier copy was stored already.
        rejected: Samples refused, all of them.
        rejections: The first of them.
    """

    sequence: int
    accepted: int
    duplicate: bool
    rejected: int
    rejections: tuple[Rejection, ...]


@dataclass(slots=True, kw_only=True)
class Sent:
    """What a sender has done since it was made.

    Attributes:
        accepted, rejected, duplicates: Samples, samples and batches, by the server's acks.
        streams: Opened.
        connected: The server has answered on the stream that is open.
        last_failure: Why the last one ended; empty while all is well.
    """

    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    streams: int = 0
    connected: bool = False
    last_failure: str = ""


class SampleSender:
    """Joins samples into batches and keeps each until its ack."""

    def __init__(
        self,
        channel: Channel,
        outbox: Outbox,
        *,
        producer_id: str = "",
        acked: Callable[[Ack], None] = lambda ack: None,
        batch_samples: int = MAX_BATCH_SAMPLES,
        batch_age_s: float = 1.0,
        patience_s: float | None = None,
        ack_timeout_s: float = 60.0,
    ) -> None:
        """Nothing is sent until `run`.

        Args:
            channel: To ingest.
            outbox: Where batches wait; of this sender alone.
            producer_id: Names the sender across restarts, where the outbox has no name of its own;
                two senders of one caller must not share it.
            acked: Told each ack, in the order of their arrival.
            batch_samples: A batch is sent when it has so many,
            batch_age_s: or when its first sample is so old.
            patience_s: `run` gives up after so long without progress; None is never.
            ack_timeout_s: A stream whose server is silent for so long is opened again.

        Raises:
            ValueError: Nobody has said the producer_id.
        """
        self.producer_id = outbox.producer_id or producer_id
        if not self.producer_id:
            raise ValueError("producer_id: name the sender, in the same way after a restart")
        self.sent = Sent()
        self._channel = channel
        self._stub = ingest_service_pb2_grpc.IngestServiceStub(channel.grpc)
        self._outbox = outbox
        self._tell_acked = acked
        self._batch_samples = batch_samples
        self._batch_age_s = batch_age_s
        self._patience_s = patience_s
        self._ack_timeout_s = ack_timeout_s
        self._joining: list[Sample] = []
        self._handing_on = asyncio.Lock()
        self._ageing: asyncio.Task[None] | None = None
        self._failures = 0
        self._failing_since_s: float | None = None

    async def write(self, samples: Iterable[Sample]) -> None:
        """Adds samples to the batch that grows; waits only when the outbox does.

        Raises:
            ValueError: One cannot be sent; none of them is taken.
        """
        given = list(samples)
        if given:
            Batch.of(given)  # refused here, where the caller hears of it
        self._joining.extend(given)
        if len(self._joining) >= self._batch_samples:
            await self.push()
        elif self._joining and (self._ageing is None or self._ageing.done()):
            self._ageing = asyncio.create_task(self._age())

    async def send(self, samples: Iterable[Sample]) -> None:
        """Hands samples on as one batch of its own.

        Raises:
            ValueError: There are none, or one cannot be sent.
        """
        await self._outbox.put(Batch.of(samples))

    async def push(self) -> None:
        """Hands on the batch that grows, as it is; returns when it is in the outbox."""
        async with self._handing_on:
            taken, self._joining = self._joining, []
            for chunk in chunks(taken, self._batch_samples):
                await self._outbox.put(Batch.of(chunk))

    def stop(self) -> None:
        """Pushes nothing by age any more; `run` is its caller's to cancel."""
        if self._ageing is not None:
            self._ageing.cancel()

    async def flush(self) -> None:
        """Returns when everything taken so far has its ack."""
        await self.push()
        await self._outbox.settled()

    async def run(self) -> None:
        """Sends for ever; may be called again after an error.

        Raises:
            RefusedError: The server does not take anything from this caller.
            UnavailableError: Patience is at its end.
        """
        while True:
            failure = await self._session()
            self.sent.connected = False
            if not failure.passes:
                raise RefusedError(failure.message)
            self._check_patience(failure)
            await asyncio.sleep(self._next_wait_s(failure))

    async def _session(self) -> Failure:
        stream = Stream(
            self._outbox,
            opened=self._opened,
            acked=self._acked,
            ack_timeout_s=self._ack_timeout_s,
        )
        try:
            metadata = self._channel.metadata()
        except (OSError, ValueError) as error:
            return self._broke(Failure(message=f"the token cannot be read: {error}"))
        try:
            await stream.run(self._stub.WriteSamples(metadata=metadata), self.producer_id)
        except StreamEndedError as ended:
            return self._broke(ended.failure)
        return Failure(message="the server drained")

    def _broke(self, failure: Failure) -> Failure:
        if not self.sent.last_failure:
            logger.info("stream broke, opening it again: %s", failure.message)
        self.sent.last_failure = failure.message
        return failure

    def _opened(self) -> None:
        self.sent.streams += 1
        self.sent.connected = True
        self.sent.last_failure = ""
        if not self._outbox.counts.pending_batches:
            self._progressed()

    def _acked(self, ack: pb.WriteAck) -> None:
        self._progressed()
        self.sent.accepted += ack.accepted
        self.sent.rejected += ack.rejected
        self.sent.duplicates += ack.duplicate
        self._tell_acked(_read(ack))

    def _progressed(self) -> None:
        self._failures, self._failing_since_s = 0, None

    def _check_patience(self, failure: Failure) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if self._patience_s is not None and now_s - self._failing_since_s > self._patience_s:
            raise UnavailableError(failure.message)

    def _next_wait_s(self, failure: Failure) -> float:
        """Doubles with each failure, with full jitter; no shorter than the server asks for."""
        ceiling_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(self._failures, 10))
        self._failures += 1
        return max(failure.wait_s, random.uniform(0, ceiling_s))  # noqa: S311

    async def _age(self) -> None:
        await asyncio.sleep(self._batch_age_s)
        await self.push()


def _read(ack: pb.WriteAck) -> Ack:
    return Ack(
        sequence=ack.sequence,
        accepted=ack.accepted,
        duplicate=ack.duplicate,
        rejected=ack.rejected,
        rejections=tuple(
            Rejection(error.index, _reason(error.reason), error.message) for error in ack.errors
        ),
    )


def _reason(number: int) -> str:
    """Its name; a newer server may have reasons that have none here."""
    known = number in pb.SampleErrorReason.values()
    return pb.SampleErrorReason.Name(number) if known else f"SAMPLE_ERROR_REASON_{number}"  # type: ignore[arg-type]
