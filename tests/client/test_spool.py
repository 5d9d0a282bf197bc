"""What a spool has taken outlives its process, comes back in order, and is never another batch."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensus_client import Batch, Counts, Sample, Spool, SpoolError
from sensus_client.files import SpoolFiles
from sensus_client.records import record
from tests.properties import examples

LIMIT = 1 << 20

PUTS = """
import asyncio, sys
from sensus_client import Batch, Sample, Spool

async def main():
    spool = await Spool.open(sys.argv[1], sync=False)
    value = 0
    while True:
        value += 1
        labels = {"__name__": "kept", "number": str(value)}
        await spool.put(Batch.of(
            [Sample.of(labels, value, timestamp_ms=value)]))
        print(value, flush=True)

asyncio.run(main())
"""


def batch(value: float, rows: int = 1) -> Batch:
    labels = {"__name__": "kept", "value": f"{value:g}"}
    return Batch.of(Sample.of(labels, value, timestamp_ms=row) for row in range(rows))


def opened(directory: Path, limit_bytes: int = LIMIT) -> SpoolFiles:
    return SpoolFiles(directory, name="test", limit_bytes=limit_bytes, sync=False)


def put(files: SpoolFiles, value: float, rows: int = 1) -> int:
    sequence = files.number()
    files.append(sequence, batch(value, rows))
    return sequence


def contents(files: SpoolFiles) -> dict[int, float]:
    """The first value of each batch that is pending, by sequence, in the order of sending."""
    found: dict[int, float] = {}
    sequence = 0
    while entry := files.after(sequence):
        sequence, each = entry
        found[sequence] = each.values[0]
    return found


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 40)),
        st.tuples(st.just("settle"), st.integers(0, 5)),
        st.tuples(st.just("kill"), st.integers(0, 200)),
    ),
    max_size=30,
)


@examples(60)
@given(steps=STEPS)
def test_a_kill_at_any_byte_loses_nothing_and_doubles_nothing(steps: list[tuple[str, int]]) -> None:
    """A kill leaves any part of the record that was being written, and no file closed."""
    with TemporaryDirectory() as place:
        files = opened(Path(place))
        producer_id, kept, taken, ever = files.producer_id, {}, 0, set()
        for what, number in steps:
            if what == "put":
                taken += 1
                sequence = put(files, taken, number)
                assert sequence not in ever
                ever.add(sequence)
                kept[sequence] = float(taken)
            elif what == "settle":
                for sequence in list(kept)[number : number + 1]:
                    files.settle(sequence)
                    del kept[sequence]
            else:
                files.close()
                whole = record(files.number(), 1, batch(-1, 3).encoded())
                for segment in sorted(Path(place).glob("*.seg"))[-1:]:
                    with segment.open("ab") as file:
                        file.write(whole[: min(number, len(whole) - 1)])
                files = opened(Path(place))
                assert files.producer_id == producer_id
                # what was settled out of order comes again: the server knows its sequence
                again = contents(files)
                assert kept.items() <= again.items()
                assert again.keys() <= ever
                for sequence in again.keys() - kept.keys():
                    files.settle(sequence)
            assert contents(files) == kept
            assert list(contents(files)) == sorted(kept)
            assert files.counts.pending_batches == len(kept)
        assert files.counts.dropped_batches == 0
        files.close()


@examples(60)
@given(cut=st.integers(0, 4000), flipped=st.booleans())
def test_damage_at_any_byte_keeps_all_before_it_and_gives_no_number_twice(
    cut: int, flipped: bool
) -> None:
    """A power cut or a bad sector: what is before it is whole, the rest is dropped and counted."""
    with TemporaryDirectory() as place:
        files = opened(Path(place))
        before, ends = {}, []
        for value in range(20):
            before[put(files, value)] = float(value)
            ends.append(files.counts.bytes)
        files.close()
        (segment,) = Path(place).glob("*.seg")
        at = min(cut, ends[-1] - 1)
        if flipped:
            data = bytearray(segment.read_bytes())
            data[at] ^= 0x40
            segment.write_bytes(data)
        else:
            os.truncate(segment, at)
        whole = sum(end <= at for end in ends)
        files = opened(Path(place))
        assert contents(files) == dict(list(before.items())[:whole])
        good = ends[whole - 1] if whole else 0
        assert files.counts.cut_bytes == (ends[-1] if flipped else at) - good
        assert put(files, 99.0) not in before
        files.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text(""),
        lambda path: path.write_bytes(b"\xff"),
        lambda path: path.write_text('{"producer_id": "", "epoch": 3}'),
        lambda path: path.write_text('{"producer_id": "test/1", "epoch": "x"}'),
    ],
    ids=["missing", "empty", "no text", "no name", "no epoch"],
)
@pytest.mark.parametrize("settled", [True, False])
def test_without_its_producer_file_a_spool_sends_on_as_another(
    tmp_path: Path, damage: Callable[[Path], None], settled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        files = opened(tmp_path)
        assert files.counts.lost_producers == 0
        files.close()
    files = opened(tmp_path)
    before, first = files.producer_id, put(files, 1)
    if settled:
        files.settle(first)
    files.close()
    damage(tmp_path / "producer")
    files = opened(tmp_path)
    second = put(files, 2)
    pending = {second: 2.0} if settled else {first: 1.0, second: 2.0}
    assert contents(files) == pending
    assert list(pending) == sorted(pending)
    assert files.producer_id not in ("", before)
    assert files.counts.lost_producers == 1
    assert "its file producer is missing or damaged" in caplog.text
    known = files.producer_id
    files.close()
    files = opened(tmp_path)
    assert (files.producer_id, files.counts.lost_producers) == (known, 0)
    assert put(files, 3) > second
    files.close()


def test_an_older_producer_file_gives_no_number_below_the_settled_ones(tmp_path: Path) -> None:
    opened(tmp_path).close()
    older = (tmp_path / "producer").read_bytes()
    opened(tmp_path).close()
    files = opened(tmp_path)
    files.settle(put(files, 1))
    files.close()
    (tmp_path / "producer").write_bytes(older)
    files = opened(tmp_path)
    assert contents(files) == {}
    pending = {put(files, 2): 2.0}
    assert contents(files) == pending
    files.close()


def test_a_full_spool_drops_the_oldest_and_counts_it(tmp_path: Path) -> None:
    files = opened(tmp_path, limit_bytes=50_000)
    kept = {put(files, value, 50): float(value) for value in range(500)}
    found = contents(files)
    assert list(found) == list(kept)[-len(found) :]
    dropped = len(kept) - len(found)
    assert dropped > 0
    assert (files.counts.dropped_batches, files.counts.dropped_samples) == (dropped, 50 * dropped)
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("*.seg"))
    assert files.counts.bytes == on_disk <= 50_000
    for sequence in found:
        files.settle(sequence)
    assert files.counts.pending_batches == files.counts.pending_samples == 0
    files.close()
    assert contents(opened(tmp_path, limit_bytes=50_000)) == {}


def test_settled_segments_leave_the_disk(tmp_path: Path) -> None:
    files = opened(tmp_path, limit_bytes=50_000)
    for value in range(1000):
        files.settle(put(files, value, 50))
        assert files.counts.bytes < 10_000
    assert files.counts.dropped_batches == 0
    files.close()


async def test_a_disk_that_takes_nothing_does_not_stop_the_sending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await Spool.open(tmp_path)
    await spool.put(batch(1))
    write = os.write

    def full(file: int, data: bytes) -> int:
        write(file, data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    await spool.put(batch(2))
    monkeypatch.undo()
    await spool.put(batch(3))
    values, sequence = [], 0
    for _ in range(3):
        sequence, found = await spool.after(sequence)
        values.append(found.values[0])
        await spool.settle(sequence)
    assert values == [1, 2, 3]
    assert spool.counts == Counts(bytes=spool.counts.bytes, failed_writes=1)
    await asyncio.wait_for(spool.settled(), 60)
    await spool.close()


async def test_a_spool_belongs_to_one_process_and_says_what_is_wrong(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "mine")
    with pytest.raises(SpoolError, match="used by another process: give each one of its own"):
        await Spool.open(tmp_path / "mine")
    await spool.close()
    await (await Spool.open(tmp_path / "mine")).close()
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="embedded null byte"):
        await Spool.open(tmp_path / "with\0nul")
    with pytest.raises(SpoolError, match=r"spool .*file: (File exists|Not a directory)"):
        await Spool.open(tmp_path / "file")


def killed_while_it_puts(directory: Path) -> int:
    """The number of the last batch that a process was told to be kept, before it was killed."""
    child = subprocess.Popen([sys.executable, "-c", PUTS, directory], stdout=subprocess.PIPE)
    lines = [child.stdout.readline() for _ in range(50)]
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    return int([line for line in lines if line.endswith(b"\n")][-1])


async def test_a_killed_process_leaves_all_that_it_has_put(tmp_path: Path) -> None:
    told = await asyncio.to_thread(killed_while_it_puts, tmp_path)
    spool = await Spool.open(tmp_path)
    values, sequence = [], 0
    for _ in range(told):
        sequence, found = await asyncio.wait_for(spool.after(sequence), 60)
        values += found.values
    assert values == list(range(1, told + 1))
    assert 0 <= spool.counts.pending_batches - told <= 1  # one may be put and not told
    await spool.close()
