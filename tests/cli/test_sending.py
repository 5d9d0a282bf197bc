"""`sensus send` of a file that stops half-way goes on there, and no sample counts twice."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import pytest
from rich.console import Console

from cli.problem import Problem
from cli.product.directory import DataDirectory, Run
from cli.send.sending import BATCH_SAMPLES, Sending
from mesh.auth import generate_key_files
from tests.client.scripted_ingest import (
    Requests,
    Responses,
    ScriptedIngest,
    listening,
    opened,
    well,
)

ROWS = 2 * BATCH_SAMPLES + 100


async def stores_two_batches_and_tells_of_one(
    ingest: ScriptedIngest, requests: Requests, context: grpc.aio.ServicerContext
) -> Responses:
    yield opened(1)
    async for request in requests:
        if ack := ingest.store(request):
            if len(ingest.values_by_sequence) == 2:
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no more")
            yield ack


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "samples.csv"
    lines = [f"sent,{value},{1_700_000_000 + value}\n" for value in range(ROWS)]
    lines.insert(7, "sent,not a number,1700000000\n")
    path.write_text("metric_name,metric_value,timestamp\n" + "".join(lines))
    return path


async def send(file: Path, place: Path, ingest: ScriptedIngest) -> tuple[Sending, str]:
    """Sends the file to `ingest` as the command does; returns what it has counted and printed."""
    directory = DataDirectory(place / "data")
    directory.make()
    generate_key_files(directory.keys, ["gateway"])
    output = io.StringIO()
    console = Console(file=output, width=200)
    sending = Sending(console, console)
    async with listening(ingest) as target:
        own = psutil.Process()
        run = Run(
            pid=own.pid,
            started_at_s=own.create_time(),
            gateway_url="",
            ingest_target=target,
            detector_target="",
            explainer_target="",
        )
        directory.write_run(run)
        with file.open(encoding="utf-8", newline="") as text:
            try:
                await sending.run(directory, text)
            except Problem as problem:
                output.write(f"{problem}\n")
    return sending, output.getvalue()


async def test_a_file_goes_on_where_it_stopped(file: Path, tmp_path: Path) -> None:
    ingest = ScriptedIngest(stores_two_batches_and_tells_of_one, well)
    _, output = await send(file, tmp_path, ingest)
    assert "line 9: could not convert string to float" in output
    message = "stopped; the same command goes on from here\ningest: no more (PERMISSION_DENIED)\n"
    assert output.endswith(message)
    again, output = await send(file, tmp_path, ingest)
    assert output.startswith(f"going on after the {BATCH_SAMPLES} samples")
    assert "line 9" not in output
    assert again.counts["stored"] == ROWS + 1 - BATCH_SAMPLES
    stored = [value for values in ingest.values_by_sequence.values() for value in values]
    assert stored == list(range(ROWS))
    assert os.listdir(tmp_path / "data/sends") == []


async def test_a_kill_at_the_first_batch_leaves_who_sends(file: Path, tmp_path: Path) -> None:
    sends, left = tmp_path / "data/sends", tmp_path / "left"

    async def is_last_to_see_the_sender(
        ingest: ScriptedIngest, requests: Requests, context: grpc.aio.ServicerContext
    ) -> Responses:
        yield opened(1)
        async for request in requests:
            if ingest.store(request):
                shutil.copytree(sends, left)  # what a kill would leave at this moment
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no more")

    ingest = ScriptedIngest(is_last_to_see_the_sender, well)
    await send(file, tmp_path, ingest)
    shutil.rmtree(sends)
    left.rename(sends)
    await send(file, tmp_path, ingest)
    assert len(set(ingest.producer_ids)) == 1
    stored = [value for values in ingest.values_by_sequence.values() for value in values]
    assert stored == list(range(ROWS))


async def test_a_place_that_cannot_be_kept_is_said_once_and_the_file_is_sent(
    file: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data/sends").write_text("no directory")
    ingest = ScriptedIngest(stores_two_batches_and_tells_of_one, well)
    _, output = await send(file, tmp_path, ingest)
    assert output.count("cannot note how far it is sent") == 1
    assert "goes on from here" not in output
    again, _ = await send(file, tmp_path, ingest)
    assert again.counts["stored"] == ROWS


@pytest.mark.parametrize(
    "change",
    [lambda file: os.utime(file), lambda file: file.write_text(file.read_text() + "sent,1,1\n")],
)
async def test_a_file_that_has_changed_is_sent_anew(
    file: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    ingest = ScriptedIngest(stores_two_batches_and_tells_of_one)
    await send(file, tmp_path, ingest)
    change(file)
    _, output = await send(file, tmp_path, ScriptedIngest(well))
    assert "going on" not in output
