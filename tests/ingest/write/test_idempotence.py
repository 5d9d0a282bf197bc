"""Batches repeated, shuffled and cut by new connections count once and keep their order."""

import asyncio
import time

from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.harness import Running, batch_request, query
from tests.properties import examples

NOW = int(time.time() * 1000)
_runs = iter(range(10**9))


@examples(10)
@given(
    sent=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6)), min_size=1, max_size=25),
    together=st.integers(1, 25),
)
async def test_any_repetition_counts_once(
    service: Running, sent: list[tuple[str, int]], together: int
) -> None:
    """Whatever is sent again, alone or beside its first copy, the log holds each batch once."""
    run = next(_runs)
    before = await service.ingest.heads.now()

    async def write(producer: str, sequence: int) -> tuple[int, bool]:
        host = 10 * run + "ab".index(producer)
        rows = [(host, NOW - 1000 + sequence, float(sequence)), (host, NOW - 500, float(sequence))]
        answer = await service.stub.WriteBatch(batch_request(f"{run}{producer}", sequence, rows))
        return answer.ack.accepted, answer.ack.duplicate

    answers: list[tuple[int, bool]] = []
    for start in range(0, len(sent), together):
        answers += await asyncio.gather(*(write(*each) for each in sent[start : start + together]))
    different = set(sent)
    assert [accepted for accepted, _ in answers] == [2] * len(sent)
    assert sum(not duplicate for _, duplicate in answers) == len(different)
    after = await service.ingest.heads.now()
    assert after.last_offset - before.last_offset == len(different)
    assert sum(after.totals) - sum(before.totals) == 2 * len(different)
    for producer in "ab":
        host = 10 * run + "ab".index(producer)
        found = await query(service.stub, f'cpu{{host="{host}"}}', NOW - 1000, NOW - 500)
        stored = [value for points in found.values() for _, value in points]
        assert stored == sorted(float(n) for p, n in different if p == producer)


async def test_producers_of_different_callers_are_different_producers(service: Running) -> None:
    """Nobody can use up the sequences of another sender by taking its name."""
    request = batch_request("sender", 1, [(0, NOW, 1.0)])
    async with service.called_by("user:stranger", "write:samples") as stranger:
        assert not (await stranger.WriteBatch(request)).ack.duplicate
    assert not (await service.stub.WriteBatch(request)).ack.duplicate
    assert (await service.stub.WriteBatch(request)).ack.duplicate
