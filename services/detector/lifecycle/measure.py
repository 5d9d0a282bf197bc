"""The measuring process: forests and judged alarms (.npz) on stdin, figures (JSON) on stdout.

python -m services.detector.lifecycle.measure < material.npz > figures.json
"""

import io
import json
import sys

import numpy as np

from services.detector.detectors.engine import FEATURES, Forest
from services.detector.detectors.evaluation import injected_precision, material, separation


def main() -> None:
    """Reads, measures every forest on the same material, writes."""
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as given:
        judged = given["true_alarms"], given["false_alarms"]
        artifacts = [given[f"forest_{n}"].tobytes() for n in range(int(given["forests"]))]
    made, figures = material(), []
    for artifact in artifacts:
        forest = Forest.from_bytes(artifact, names=FEATURES)
        precision, apart = injected_precision(forest, made), separation(forest, *judged)
        figures.append({"injected_precision": precision, "feedback_separation": apart})
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
