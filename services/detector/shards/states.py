"""The engine's state cut into one value per series: a header that tells its version, and a CRC."""

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine
from services.detector.model.checkpoints import StoredSeries

_HEADER_BYTES: Final = 16
_CRC_BYTES: Final = 4


def state_of_rows(engine: Engine, rows: npt.NDArray[np.int32]) -> list[bytes]:
    """One stored state for each row."""
    if not len(rows):
        return []
    data = engine.export_rows(rows)
    header, body = data[:_HEADER_BYTES], memoryview(data)[_HEADER_BYTES:]
    size = len(body) // len(rows)
    return [_sealed(header + body[at : at + size]) for at in range(0, len(body), size)]


def import_states(engine: Engine, series: Sequence[StoredSeries]) -> list[int]:
    """Restores the states of rows 0, 1, 2 ...; returns the rows that could not be read.

    Those, damaged or written by another version of the engine, start as series that saw nothing.
    """
    stored = [(row, each.state) for row, each in enumerate(series) if each.state is not None]
    try:
        _import(engine, stored)
    except ValueError:
        return [row for row, state in stored if not _imported(engine, row, state)]
    return []


def _imported(engine: Engine, row: int, state: bytes) -> bool:
    try:
        _import(engine, [(row, state)])
    except ValueError:
        return False
    return True


def _import(engine: Engine, stored: Sequence[tuple[int, bytes]]) -> None:
    if not stored:
        return
    states = [_opened(state) for _, state in stored]
    header = states[0][:_HEADER_BYTES]
    if any(state[:_HEADER_BYTES] != header for state in states):
        raise ValueError("states of different versions")
    rows = np.array([row for row, _ in stored], dtype=np.int32)
    engine.import_rows(rows, header + b"".join(state[_HEADER_BYTES:] for state in states))


def _sealed(state: bytes) -> bytes:
    return state + zlib.crc32(state).to_bytes(_CRC_BYTES, "little")


def _opened(sealed: bytes) -> bytes:
    state, crc = sealed[:-_CRC_BYTES], sealed[-_CRC_BYTES:]
    if zlib.crc32(state).to_bytes(_CRC_BYTES, "little") != crc:
        raise ValueError("damaged state of a series")
    return state
