"""The measuring process: forests, judged alarms and series (.npz) on stdin, figures on stdout.

python -m services.detector.training.measure < material.npz > figures.json
"""

import io
import json
import sys

import numpy as np

from services.detector.detectors.engine import FEATURES, Forest
from services.detector.detectors.evaluation import (
    SERIES,
    Track,
    count_detected,
    injected_precision,
    made_up,
    material,
    scored,
    separation,
)


def main() -> None:
    """Reads, measures every forest on the same material, writes."""
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as given:
        judged = given["true_alarms"], given["false_alarms"]
        artifacts = [given[f"forest_{n}"].tobytes() for n in range(int(given["forests"]))]
        stored = [Track(given[f"times_{n}"], given[f"values_{n}"]) for n in range(given["tracks"])]
    made, figures = material([*stored, *made_up(SERIES - len(stored))]), []
    for artifact in artifacts:
        forest = Forest.from_bytes(artifact, names=FEATURES)
        scores = scored(forest, made)
        figures.append(
            {
                "injected_precision": injected_precision(scores, made),
                "injected_heard": count_detected(scores, made),
                "feedback_separation": separation(forest, *judged),
            }
        )
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
