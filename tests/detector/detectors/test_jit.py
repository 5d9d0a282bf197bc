"""Machine code that is kept on disk: where, and made anew when damaged or of another version."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.caching import UserProvidedCacheLocator

from cli.product.code import kept_in

SCRIPT = """
import numpy as np
from services.detector.detectors import tables
print(tables.count(np.array([7] + [0] * 79, np.uint32), 0))
"""


def counted(cache: Path) -> str:
    """What a kernel of a new process says that keeps its machine code there."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env={"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine code that a first process keeps."""
    cache = tmp_path_factory.mktemp("compiled")
    assert counted(cache) == "3"
    return cache


@pytest.mark.parametrize(
    "index",
    [
        b"cservices.detector.detectors.step\nTypeThatIsGone\n.",
        b"cservices.detector.detectors.gone\nType\n.",
        b"",
        b"\x80\x05garbage",
    ],
    ids=["a type is gone", "a module is gone", "empty", "damaged"],
)
def test_index_that_cannot_be_read_is_made_anew(
    compiled: Path, tmp_path: Path, index: bytes
) -> None:
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    (kept,) = tmp_path.rglob("tables.count-*.nbi")
    with kept.open("rb") as file:
        version = pickle.load(file)
    sound = kept.read_bytes()
    kept.write_bytes(pickle.dumps(version) + index)
    assert counted(tmp_path) == "3"
    assert len(kept.read_bytes()) == len(sound), "kept anew"


def test_directory_of_the_cache_is_the_one_that_numba_looks_in() -> None:
    """What root has compiled is copied there for those who run as another user."""
    here = Path(__file__).resolve()
    found = UserProvidedCacheLocator.get_suitable_cache_subpath(str(here))  # type: ignore[no-untyped-call]
    assert kept_in(here.parent) == found
