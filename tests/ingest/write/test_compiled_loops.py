"""What a body of a fresh process waits for."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import services.ingest
from mesh.errors import Unavailable
from services.ingest.write import compiled_loops
from services.ingest.write.compiled_loops import OF_BODIES, OF_CHUNKS, CompiledLoops

_HOUSE = Path(services.ingest.__file__).parent


class _Slow:
    """A compiler that is done when the test says so."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.asked = 0

    def load(self, _: str) -> None:
        """Stands for the compiler."""
        self.asked += 1
        assert self.may_end.wait(60)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> _Slow:
    """A compiler that waits for the test."""
    made = _Slow()
    monkeypatch.setattr(compiled_loops, "import_module", made.load)
    monkeypatch.setattr(compiled_loops, "OF_CHUNKS", ())
    return made


async def test_a_body_is_told_to_come_again_when_compiling_outlasts_its_sender(slow: _Slow) -> None:
    loops = CompiledLoops(["one"], patience_s=0)
    with pytest.raises(Unavailable) as refused:
        await loops.ready()
    assert (refused.value.reason, refused.value.retry_after_s) == ("LOOPS_LOADING", 5)
    slow.may_end.set()


async def test_the_first_body_waits_and_a_sender_that_leaves_stops_no_other(slow: _Slow) -> None:
    hasty, patient = CompiledLoops(["one"], patience_s=0), CompiledLoops(["one"], patience_s=60)
    patient._loaded = hasty._loading()
    with pytest.raises(Unavailable):
        await hasty.ready()
    slow.may_end.set()
    await patient.ready()
    await hasty.ready()
    assert slow.asked == 1


async def test_a_module_that_cannot_be_loaded_is_an_error_of_the_process() -> None:
    loops = CompiledLoops(["services.ingest.no_such_module"], patience_s=60)
    for call in (loops.ready, loops.run, loops.ready):
        with pytest.raises(ModuleNotFoundError):
            await call()


def test_every_module_with_compiled_loops_is_loaded() -> None:
    compiled = {
        ".".join(("services.ingest", *path.relative_to(_HOUSE).with_suffix("").parts))
        for path in _HOUSE.rglob("*.py")
        if "mesh.jit import" in path.read_text()
    }
    assert compiled == {*OF_BODIES, *OF_CHUNKS}


def test_compiled_loops_load_no_linear_algebra() -> None:
    """It would take a fifth of a second and 15 MB of each process that has such loops."""
    code = f"import sys, {', '.join(OF_CHUNKS)}; sys.exit('scipy.linalg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
