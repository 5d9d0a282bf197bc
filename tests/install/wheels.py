"""Wheels without content: the metadata of a package, and nothing to run."""

import hashlib
import importlib.metadata
import re
import zipfile
from pathlib import Path

_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_EXTRA = re.compile(r"extra == ['\"]([^'\"]+)")


def make_wheel(
    directory: Path, name: str, version: str, *, requires: list[str], scripts: str = ""
) -> Path:
    """Writes a wheel that requires what it is told and offers each extra that this names."""
    file_name = f"{name.replace('-', '_')}-{version}"
    extras = sorted({extra for text in requires for extra in _EXTRA.findall(text)})
    metadata = [
        *("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"),
        *(f"Requires-Dist: {text}" for text in requires),
        *(f"Provides-Extra: {extra}" for extra in extras),
    ]
    files = {"METADATA": "\n".join(metadata) + "\n", "WHEEL": _WHEEL}
    if scripts:
        files["entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    wheel = directory / f"{file_name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        record = [f"{file_name}.dist-info/{each},," for each in (*files, "RECORD")]
        for each, text in {**files, "RECORD": "\n".join(record) + "\n"}.items():
            archive.writestr(f"{file_name}.dist-info/{each}", text)
    return wheel


def sha256(wheel: Path) -> str:
    """The hash of a file as locks write it."""
    return f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def requirements_of(name: str) -> list[str]:
    """What a package says it requires; nothing when it is not installed here."""
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
