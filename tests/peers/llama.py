"""A real llama.cpp server with a model of random weights, for as long as a test needs it."""

import asyncio
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.peers.conftest import REPOSITORY, running
from tests.ports import free_port

VENV_PYTHON = REPOSITORY / ".peers" / "venv" / "bin" / "python"
READY_WITHIN_S, LOOK_EVERY_S = 60.0, 0.05
_WRITE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.peers.random_model import write_random_model
write_random_model(Path(sys.argv[2]), closes=sys.argv[3] == "closes")
"""
_TOLD_AT_THE_END_OF_AN_ANSWER = "eval time"
_TOLD_WHEN_A_CLIENT_LEAVES = "Disconnected from client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Llama:
    """A running server."""

    port: int
    log_file: Path

    def spec(self, *, answer_tokens: int) -> str:
        """How it is named in SENSUS_LLM_PROVIDERS."""
        options = f"context=32768;answer={answer_tokens}"
        return f"openai:http://127.0.0.1:{self.port}/v1/random;{options}"

    def statuses(self) -> list[int]:
        """What it answered to each question, in order."""
        lines = self._log().splitlines()
        asked = (line.partition('"POST /v1/chat/completions HTTP/1.1" ')[2] for line in lines)
        return [int(status.split()[0]) for status in asked if status]

    @property
    def finished_an_answer(self) -> bool:
        """Whether it came to the end of any answer."""
        return _TOLD_AT_THE_END_OF_AN_ANSWER in self._log()

    async def left_by_the_client(self, *, within_s: float) -> bool:
        """Whether it notices in time that a client has left."""
        for _ in range(math.ceil(within_s / LOOK_EVERY_S)):
            if _TOLD_WHEN_A_CLIENT_LEAVES in self._log():
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        return False

    def _log(self) -> str:
        return _text(self.log_file)


@asynccontextmanager
async def serving(directory: Path, *, closes: bool) -> AsyncIterator[Llama]:
    """A server whose model ends its strings, or talks until it is cut."""
    python = _python_with("gguf", "llama_cpp.server")
    model, log_file, port = directory / "random.gguf", directory / "server.log", free_port()
    await _written(python, model, closes=closes)
    command = [python, "-u", "-m", "llama_cpp.server", "--model", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--n_ctx", "32768", "--chat_format", "chatml"]
    async with running(command, log_file):
        await _ready(f"http://127.0.0.1:{port}/v1/models", log_file)
        yield Llama(port=port, log_file=log_file)


async def _written(python: str, model: Path, *, closes: bool) -> None:
    """Has the model written by an interpreter that has the package for it."""
    form = "closes" if closes else "endless"
    command = [python, "-c", _WRITE, str(REPOSITORY), str(model), form]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


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


async def _ready(url: str, log_file: Path) -> None:
    give_up_s = time.monotonic() + READY_WITHIN_S
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        while time.monotonic() < give_up_s:
            try:
                if (await http.get(url)).is_success:
                    return
            except httpx.HTTPError:
                await asyncio.sleep(0.2)
    pytest.fail(f"the server did not come up: {_text(log_file)[-2000:]}")


def _text(log_file: Path) -> str:
    return log_file.read_text(errors="replace")
