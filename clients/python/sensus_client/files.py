"""The files of a spool. Everything here blocks; `spool.py` calls it from a thread of its own."""

import fcntl
import json
import logging
import os
import uuid
import zlib
from pathlib import Path
from struct import Struct
from typing import Final

from google.protobuf.message import DecodeError

from sensus_client.batch import Batch
from sensus_client.errors import SpoolError
from sensus_client.outbox import Counts
from sensus_client.records import SUFFIX, Segment, record

_SEGMENTS: Final = 32
"""A full spool loses so small a part of itself at a time."""
_SMALLEST_SEGMENT: Final = 4096
_EPOCH_BITS: Final = 32
_LAST_EPOCH: Final = (1 << 32) - 1
_SETTLED: Final = Struct("<QI")
_SHOULD_GO: Final = 1 << 16
"""A segment that is settled is deleted, also the newest one when it is larger than this."""

logger = logging.getLogger(__name__)


class SpoolFiles:
    """Segments in a directory, the oldest first, and how far they are settled.

    Sequences are the epoch, raised durably at each opening, and a count: a number that a lost
    record had is never given to another batch. The epoch is above all that the files know of, also
    when `producer` is lost: what is put below the settled ones would never be sent.
    """

    def __init__(self, directory: Path, *, name: str, limit_bytes: int, sync: bool) -> None:
        """Opens or makes the spool in `directory`.

        Raises:
            SpoolError: It cannot be used, or another process uses it.
        """
        self.counts = Counts()
        self._directory = directory
        self.limit(limit_bytes)
        self._sync = sync
        self._segments: list[Segment] = []
        self._settled: set[int] = set()
        self._writing = self._mark = self._lock = -1
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _locked(directory / "lock")
            self._mark = os.open(directory / "settled", os.O_RDWR | os.O_CREAT, 0o600)
            highest = self._scan(_read_mark(self._mark))
            self.producer_id, epoch = self._identify(name, highest)
        except (OSError, ValueError) as error:  # a path with a NUL is the latter
            self.close()
            cause = getattr(error, "strerror", None) or error
            raise SpoolError(f"spool {directory}: {cause}") from error
        self._sequence = epoch << _EPOCH_BITS

    def limit(self, limit_bytes: int) -> None:
        """Another bound of the files, which holds from the next batch on."""
        self._limit_bytes = limit_bytes
        self._segment_bytes = max(_SMALLEST_SEGMENT, limit_bytes // _SEGMENTS)

    def number(self) -> int:
        """A sequence that no batch had before."""
        self._sequence += 1
        return self._sequence

    def append(self, sequence: int, batch: Batch) -> None:
        """Keeps a batch; drops the oldest segments when there is no more room.

        Raises:
            OSError: The disk does not take it; nothing of it is there.
        """
        payload = batch.encoded()
        size = len(record(sequence, len(batch), payload))
        if self._segments and self._segments[-1].size + size > self._segment_bytes:
            self._finish()
        while self._segments and self.counts.bytes + size > self._limit_bytes:
            self._drop(self._segments[0])
        if self._writing < 0:
            self._begin(sequence)
        self._segments[-1].append(self._writing, sequence, len(batch), payload, sync=self._sync)
        self.counts.bytes += size
        self._count(1, len(batch))

    def after(self, sequence: int) -> tuple[int, Batch] | None:
        """The oldest unsettled batch above `sequence`; what cannot be read is dropped."""
        for segment in list(self._segments):
            for place in range(segment.place_above(max(sequence, self._floor)), len(segment)):
                found = segment[place]
                if found.sequence in self._settled:
                    continue
                try:
                    return found.sequence, Batch.decoded(segment.read(found))
                except (OSError, zlib.error, DecodeError, ValueError):
                    self.counts.dropped_batches += 1
                    self.counts.dropped_samples += found.samples
                    self.settle(found.sequence)
        return None

    def settle(self, sequence: int) -> None:
        """Forgets a batch; a number that is not there is ignored."""
        if sequence <= self._floor or sequence in self._settled:
            return
        for segment in self._segments:
            place = segment.place_above(sequence) - 1
            if place >= 0 and segment.sequences[place] == sequence:
                self._settled.add(sequence)
                self._count(-1, segment[place].samples)
                self._raise_floor()
                return

    def close(self) -> None:
        """Closes the files and lets others use the directory."""
        for file in (self._writing, self._mark, self._lock):
            if file >= 0:
                os.close(file)
        self._writing = self._mark = self._lock = -1

    def _identify(self, name: str, highest: int) -> tuple[str, int]:
        """Whose sequences these are, and an epoch above `highest`, the last that is known of."""
        path = self._directory / "producer"
        producer_id, epoch = _read_producer(path)
        if not producer_id:
            producer_id = f"{name}/{uuid.uuid4().hex}"
            if highest or path.exists():
                self.counts.lost_producers += 1
                logger.warning(
                    "spool %s: its file producer is missing or damaged; it goes on as %s, and what "
                    "was sent without an ack may count twice",
                    self._directory,
                    producer_id,
                )
        epoch = max(epoch, highest >> _EPOCH_BITS) + 1
        fresh = path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump({"producer_id": producer_id, "epoch": epoch}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_directory(self._directory)
        return producer_id, epoch

    def _scan(self, floor: int) -> int:
        """Opens the segments; returns the highest sequence among them and `floor`."""
        self._floor = highest = floor
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            segment = Segment(path)
            self.counts.cut_bytes += segment.scan()
            self.counts.bytes += segment.size
            place = segment.place_above(floor)
            self.counts.pending_batches += len(segment) - place
            self.counts.pending_samples += segment.samples_from(place)
            self._segments.append(segment)
            highest = max([highest, *segment.sequences[-1:]])
        self._delete_settled()
        if self._segments and self._segments[-1].size < self._segment_bytes:
            self._writing = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND)
        return highest

    def _begin(self, sequence: int) -> None:
        segment = Segment.first(self._directory, sequence)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._writing = os.open(segment.path, flags, 0o600)
        self._segments.append(segment)
        if self._sync:
            sync_directory(self._directory)

    def _finish(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def _drop(self, segment: Segment) -> None:
        """Deletes a segment with what is not settled in it."""
        lost = [segment[place] for place in range(segment.place_above(self._floor), len(segment))]
        lost = [each for each in lost if each.sequence not in self._settled]
        for each in lost:
            self.counts.dropped_batches += 1
            self.counts.dropped_samples += each.samples
            self._settled.add(each.sequence)
            self._count(-1, each.samples)
        self._raise_floor()
        if segment in self._segments:
            self._delete(segment)

    def _raise_floor(self) -> None:
        """Everything up to the floor is settled; it is what a restart knows."""
        floor = self._floor
        for segment in self._segments:
            for place in range(segment.place_above(floor), len(segment)):
                if segment.sequences[place] not in self._settled:
                    break
                floor = segment.sequences[place]
                self._settled.discard(floor)
            else:
                continue
            break
        if floor > self._floor:
            self._floor = floor
            _write_mark(self._mark, floor)
            self._delete_settled()

    def _delete_settled(self) -> None:
        for segment in list(self._segments):
            newest = segment is self._segments[-1]
            if segment.place_above(self._floor) < len(segment):
                return
            if not newest or segment.size > _SHOULD_GO or not len(segment):
                self._delete(segment)

    def _delete(self, segment: Segment) -> None:
        if segment is self._segments[-1]:
            self._finish()
        self._segments.remove(segment)
        self.counts.bytes -= segment.size
        segment.path.unlink(missing_ok=True)

    def _count(self, sign: int, samples: int) -> None:
        self.counts.pending_batches += sign
        self.counts.pending_samples += sign * samples


def _locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        message = f"spool {path.parent} is used by another process: give each one of its own"
        raise SpoolError(message) from None
    return file


def _read_producer(path: Path) -> tuple[str, int]:
    """The producer_id and the last epoch; empty and 0 when the file does not say both."""
    try:
        match json.loads(path.read_text()):
            case {"producer_id": str(producer_id), "epoch": int(epoch)} if (
                producer_id and 0 < epoch < _LAST_EPOCH
            ):
                return producer_id, epoch
    except (FileNotFoundError, ValueError, RecursionError):
        pass
    return "", 0


def _read_mark(file: int) -> int:
    """Everything up to here is settled; 0 when the mark is not whole: then all is sent again."""
    data = os.pread(file, _SETTLED.size, 0)
    if len(data) < _SETTLED.size:
        return 0
    sequence, checksum = _SETTLED.unpack(data)
    return sequence if checksum == zlib.crc32(data[:8]) else 0


def _write_mark(file: int, sequence: int) -> None:
    """Lost or torn it costs a repetition, which the server counts as a duplicate."""
    data = sequence.to_bytes(8, "little")
    os.pwrite(file, _SETTLED.pack(sequence, zlib.crc32(data)), 0)


def sync_directory(directory: Path) -> None:
    """Makes the names in it durable, as fsync does for the content of a file."""
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
