"""Where the sending of a file stopped, so that the same command goes on from there."""

import hashlib
import json
import math
import os
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from sensus_client.files import sync_directory

_WRITTEN_EVERY_S = 1.0
_FORM = 1
"""Raised when the same file would be cut into other batches than before."""


@dataclass(slots=True, kw_only=True)
class Bookmark:
    """How far a file was sent, by whom.

    Attributes:
        producer_id: of all attempts to send this file.
        items: of the file that are done with, from its beginning.
        sequence: of the last batch among them.
    """

    producer_id: str
    items: int = 0
    sequence: int = 0

    @classmethod
    def fresh(cls) -> "Bookmark":
        """At the beginning, of a new producer."""
        return cls(producer_id=f"cli/{uuid.uuid4().hex}")


class BookmarkFile:
    """The bookmark of one file; a file that has changed since is another one.

    What cannot be written costs the possibility to go on, and nothing else; `write` says so.
    """

    def __init__(self, directory: Path, file: os.stat_result, batch_samples: int) -> None:
        """`directory` is made when it is needed."""
        facts = (_FORM, batch_samples, file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns)
        name = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
        self._path = directory / f"{name}.json"
        self._written_at_s = -math.inf

    def read(self) -> Bookmark:
        """Where it stopped; a fresh one when nothing is known."""
        try:
            return Bookmark(**json.loads(self._path.read_text()))
        except (OSError, ValueError, TypeError):
            return Bookmark.fresh()

    def due(self) -> bool:
        """Whether a second has gone since it was written; at first it always is."""
        return time.monotonic() - self._written_at_s >= _WRITTEN_EVERY_S

    def write(self, bookmark: Bookmark) -> str:
        """Keeps it on the disk, whole or not at all; why not, or nothing. Blocks."""
        self._written_at_s = time.monotonic()
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("w") as file:
                json.dump(asdict(bookmark), file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            sync_directory(self._path.parent)
        except OSError as error:
            return f"{self._path.parent}: {error.strerror}"
        return ""

    def forget(self) -> None:
        """The file is sent."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return
