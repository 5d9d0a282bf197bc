"""One segment of a spool: records one after the other, each with a checksum."""

import os
import zlib
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

SUFFIX: Final = ".seg"

_HEADER: Final = Struct("<4sIIQI")
_CHECKED: Final = Struct("<QI")
_MAGIC: Final = b"SnS1"

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter


@dataclass(frozen=True, slots=True)
class Record:
    """Where a record stands: its sequence, place in the file, and number of samples."""

    sequence: int
    offset: int
    length: int
    samples: int


class Segment:
    """The records of one file, in rising sequence. Memory: 24 bytes a record."""

    def __init__(self, path: Path) -> None:
        """The file is empty, or will be `scan`ned."""
        self.path = path
        self.size = 0
        self.sequences = array("Q")
        self._offsets = array("I")
        self._lengths = array("I")
        self._samples = array("I")

    @classmethod
    def first(cls, directory: Path, sequence: int) -> "Segment":
        """An empty segment whose first record will be `sequence`."""
        return cls(directory / f"{sequence:020d}{SUFFIX}")

    def __len__(self) -> int:
        """Number of records."""
        return len(self.sequences)

    def __getitem__(self, place: int) -> Record:
        """The record at a place."""
        columns = (self.sequences, self._offsets, self._lengths, self._samples)
        return Record(*(column[place] for column in columns))

    def place_above(self, sequence: int) -> int:
        """The place of the first record above `sequence`."""
        return bisect_right(self.sequences, sequence)

    def samples_from(self, place: int) -> int:
        """Number of samples from a place on."""
        return sum(self._samples[place:])

    def append(self, file: int, sequence: int, samples: int, payload: bytes, *, sync: bool) -> None:
        """Writes a record, whole or not at all, and returns when the file system has it.

        Raises:
            OSError: The file is as it was.
        """
        data = record(sequence, samples, payload)
        try:
            _write(file, data)
            if sync:
                _sync(file)
        except OSError:
            os.ftruncate(file, self.size)
            raise
        self._note(sequence, samples, len(payload))

    def read(self, found: Record) -> bytes:
        """The payload of a record.

        Raises:
            OSError: It cannot be read whole.
        """
        with self.path.open("rb") as file:
            file.seek(found.offset)
            payload = file.read(found.length)
        if len(payload) < found.length:
            raise OSError(f"{self.path} is shorter than it was")
        return payload

    def scan(self) -> int:
        """Notes the whole records from the beginning on, cuts off the rest; returns its bytes.

        What follows a damaged record goes too: where the next one begins is not known for sure.
        """
        with self.path.open("rb") as file:
            while self._next(file):
                pass
            cut = file.seek(0, os.SEEK_END) - self.size
        if cut:
            os.truncate(self.path, self.size)
        return cut

    def _next(self, file: BinaryIO) -> bool:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return False
        magic, length, checksum, sequence, samples = _HEADER.unpack(head)
        if magic != _MAGIC or (self.sequences and sequence <= self.sequences[-1]):
            return False
        payload = file.read(length)
        if len(payload) < length or _checksum(sequence, samples, payload) != checksum:
            return False
        self._note(sequence, samples, length)
        return True

    def _note(self, sequence: int, samples: int, length: int) -> None:
        self.sequences.append(sequence)
        self._offsets.append(self.size + _HEADER.size)
        self._lengths.append(length)
        self._samples.append(samples)
        self.size += _HEADER.size + length


def record(sequence: int, samples: int, payload: bytes) -> bytes:
    """A record as it stands in the file."""
    checksum = _checksum(sequence, samples, payload)
    return _HEADER.pack(_MAGIC, len(payload), checksum, sequence, samples) + payload


def _checksum(sequence: int, samples: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_CHECKED.pack(sequence, samples)))


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
