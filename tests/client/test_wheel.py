"""The client package builds as a wheel that stands alone, stubs and all."""

import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

ALONE = """
import sys
import sensus_client
from sensus.ingest.v1 import ingest_service_pb2_grpc
for module in (sensus_client, ingest_service_pb2_grpc):
    assert module.__file__.startswith(sys.argv[1]), module.__file__
assert not {"mesh", "services", "cli", "numpy"} & sys.modules.keys()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without an index and without isolation."""
    directory = tmp_path_factory.mktemp("wheel")
    build = ["-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, *build, "--wheel-dir", str(directory), "clients/python"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    (built,) = directory.glob("sensus_client-*.whl")
    return built


@pytest.mark.long
def test_wheel_holds_the_stubs_and_runs_without_the_project(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        needs = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist")
    assert {re.match(r"[\w-]+", need)[0] for need in needs} == {
        "grpcio",
        "protobuf",
        "googleapis-common-protos",
    }
    environment = {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", ALONE, str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
