"""The training process: feature rows (.npy) on stdin, a forest on stdout.

python -m services.detector.training.grow SEED TREES SAMPLE SIMULATED < rows.npy > forest
"""

import io
import sys

import numpy as np

from services.detector.detectors.engine import train
from services.detector.detectors.first_forest import made_up_rows


def main() -> None:
    """Reads, adds as many made-up rows as wanted, trains, writes."""
    seed, trees, sample, simulated = (int(each) for each in sys.argv[1:5])
    rows = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    if simulated:
        rows = np.concatenate([rows, np.resize(made_up_rows(0), (simulated, rows.shape[1]))])
    forest = train(rows, seed=seed, trees=trees, sample=sample)
    sys.stdout.buffer.write(forest.to_bytes())


if __name__ == "__main__":
    main()
