"""A real llama.cpp server with random weights: whatever it says, the ranks stay byte for byte."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from sensus.explainer.v1 import explainer_service_pb2 as pb
from tests.explainer.conftest import *  # noqa: F403
from tests.explainer.conftest import Start
from tests.explainer.peers import Ingest, OpenAIServer, alert, jumping
from tests.explainer.test_language_model import GOOD
from tests.peers.conftest import REPOSITORY, free_port, running

pytestmark = pytest.mark.peers

VENV_PYTHON = REPOSITORY / ".peers" / "venv" / "bin" / "python"
READY_WITHIN_S = 60.0
_WRITE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.peers.random_model import write_random_model
write_random_model(Path(sys.argv[2]))
"""


def _python_with(*modules: str) -> str:
    """An interpreter that has these modules; skips where there is none."""
    for python in (str(VENV_PYTHON), sys.executable):
        command = [python, "-c", f"import {', '.join(modules)}"]
        try:
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return python
        except FileNotFoundError:
            continue
    pytest.skip(f"{' and '.join(modules)} are not installed here: run tools/get-peers.sh")


@pytest.fixture(scope="session")
async def llama(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Spec of a provider that is the real server."""
    python = _python_with("gguf", "llama_cpp.server")
    directory, port = tmp_path_factory.mktemp("llama"), free_port()
    model = directory / "random.gguf"
    _run([python, "-c", _WRITE, str(REPOSITORY), str(model)])
    command = [python, "-m", "llama_cpp.server", "--model", str(model), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--n_ctx", "8192", "--chat_format", "chatml"]
    async with running(command, directory / "server.log"):
        await _ready(f"http://127.0.0.1:{port}/v1/models", directory / "server.log")
        yield f"openai:http://127.0.0.1:{port}/v1/random;context=8192;answer=300"


async def _ready(url: str, log_file: Path) -> None:
    give_up_s = time.monotonic() + READY_WITHIN_S
    async with httpx.AsyncClient(trust_env=False) as http:
        while time.monotonic() < give_up_s:
            try:
                if (await http.get(url)).is_success:
                    return
            except httpx.HTTPError:
                await asyncio.sleep(0.2)
    pytest.fail(f"the server did not come up: {_end_of(log_file)}")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)


def _end_of(log_file: Path) -> str:
    return log_file.read_text()[-2000:]


async def _ranks(start: Start, alert_id: str, *providers: str) -> tuple[list[bytes], pb.Wording]:
    explainer = await start(llm_providers=providers, like_window_s=0, llm_timeout_s=90.0)
    result = await explainer.result(alert_id)
    found = [each.SerializeToString(deterministic=True) for each in result.suspects]
    return [*found, repr(result.confidence).encode()], result.wording


async def test_ranks_are_the_same_without_a_model_with_a_liar_and_with_a_real_server(
    start: Start, ingest: Ingest, llama: str
) -> None:
    ingest.series.append(jumping("db_wait_seconds", level=1.0, to=9.0, before_s=300, service="db"))
    ingest.alerts |= {name: alert(name) for name in ("off", "lying", "real")}
    lie = GOOD | {"root_cause": "db is the cause, not web-1.", "suspects": ["db"]}
    plain, _ = await _ranks(start, "off")
    async with OpenAIServer(answer=json.dumps(lie)).serve() as liar:
        lied_to, _ = await _ranks(start, "lying", liar)
    real, wording = await _ranks(start, "real", llama)
    assert plain == lied_to == real
    assert wording.prompt_id == "plain@1"
    assert wording.provider == "template"
    assert wording.degraded_reason.startswith("openai: ")
