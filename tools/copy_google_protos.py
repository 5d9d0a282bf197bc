"""Copy google/api/*.proto out of the installed wheel, so that buf needs no network."""

import shutil
import sys
from importlib.resources import files
from pathlib import Path


def main(target: Path) -> None:
    """Fill `target` with the two files that the contract imports."""
    (target / "google/api").mkdir(parents=True, exist_ok=True)
    for name in ("annotations.proto", "http.proto"):
        shutil.copyfile(str(files("google.api") / name), target / "google/api" / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
