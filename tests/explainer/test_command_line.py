"""`sensus explain` and `sensus prompts` against an explainer, by the door people use."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli.product.directory import DataDirectory, Run
from tests.cli.test_commands import REPOSITORY, SENSUS, sensus
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Detector, Ingest, OllamaServer, anomaly


def directory(tmp_path: Path, keys: Path, running: Running) -> tuple[str, str]:
    """Options that name a data directory in which this process says that it is the product."""
    found = DataDirectory(tmp_path / "data")
    found.path.mkdir()
    found.keys.symlink_to(keys)
    found.write_run(
        Run(
            pid=os.getpid(),
            started_at_s=psutil.Process().create_time(),
            gateway_url="",
            ingest_target=running.config.ingest_target,
            detector_target=running.config.detector_target,
            explainer_target=running.target,
        )
    )
    return "--data-dir", str(found.path)


@pytest.fixture
def data(tmp_path: Path, explainer_keys: Path, explainer: Running) -> tuple[str, str]:
    """Options of commands that reach an explainer without a language model."""
    return directory(tmp_path, explainer_keys, explainer)


async def first_line(*arguments: object, then: Callable[[], None] = int) -> tuple[bytes, bytes]:
    """What a command prints into a pipe that is closed after one line, and its errors."""
    process = await asyncio.create_subprocess_exec(
        *(*SENSUS, *map(str, arguments)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert process.stdout
    assert process.stderr
    line = await process.stdout.readline()
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    then()
    errors = await asyncio.wait_for(process.stderr.read(), 60)
    await process.wait()
    return line, errors


async def test_alert_and_anomaly_are_explained_by_their_ids(
    data: tuple[str, str], detector: Detector
) -> None:
    detector.anomalies["n1"] = anomaly()
    for subject_id in ("a1", "n1"):
        status, output, errors = await sensus("explain", subject_id, *data)
        assert (status, errors) == (0, "")
        assert output.startswith("Cause: web-1 is the most likely cause")
        assert f"`sensus explain {subject_id} --all` shows all evidence." in output
        assert "Evidence" not in output
    status, output, errors = await sensus("explain", "a1", "--all", *data)
    assert (status, errors) == (0, "")
    assert "\nEvidence\n" in output


async def test_pipe_that_is_closed_early_leaves_no_traceback(
    data: tuple[str, str], ingest: Ingest
) -> None:
    ingest.faults.delay_s["ListAlerts"] = 1.0
    line, errors = await first_line("explain", "a1", "--all", *data)
    assert b"gathering" in line
    assert errors == b""


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["lines", "json"])
async def test_tail_ends_when_nobody_reads_it_any_more(
    data: tuple[str, str], detector: Detector, as_json: tuple[str, ...]
) -> None:
    detector.announce(anomaly())

    def more() -> None:
        for number in range(2, 50):
            detector.announce(anomaly(f"n{number}", cursor=number))

    line, errors = await first_line("tail", "--after", "0", *as_json, *data, then=more)
    assert b"n1" in line or b"a1" in line
    assert b"Traceback" not in errors


UNKNOWN = (
    "sensus: no alert and no anomaly has the id 'nobody': give the id at the end of a line of "
    "`sensus tail`; explanations, groups and series have other ids\n"
)


async def test_id_that_names_nothing_is_told_with_the_ids_there_are(data: tuple[str, str]) -> None:
    assert await sensus("explain", "nobody", *data) == (1, "", UNKNOWN)


async def test_subject_to_try_a_prompt_on_must_be_there(
    start: Start, tmp_path: Path, explainer_keys: Path
) -> None:
    async with OllamaServer().serve() as provider:
        data = directory(tmp_path, explainer_keys, await start(llm_providers=(provider,)))
        assert await sensus("prompts", "try", "plain", "nobody", *data) == (1, "", UNKNOWN)
        status, _, errors = await sensus("prompts", "try", "none", "nobody", *data)
    assert (status, errors) == (1, "sensus: no prompt 'none': check the id\n")


async def test_text_that_is_not_utf_8_is_a_problem(data: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "mine.md"
    file.write_bytes("Erkläre es.".encode("latin-1"))
    status, _, errors = await sensus("prompts", "write", "mine", file, *data)
    assert status == 1
    assert errors == f"sensus: {file}: byte 4 is not UTF-8: save the text as UTF-8\n"
