"""The training process: feature rows (.npy) on stdin, a forest on stdout.

python -m services.detector.training.grow SEED TREES SAMPLE SIMULATED FEATURE... < rows.npy > forest
"""

import io
import sys

import numpy as np

from services.detector.detectors import forest_format
from services.detector.detectors.training import grow


def main() -> None:
    """Reads, adds as many made-up rows as wanted, trains, writes."""
    seed, trees, sample, simulated = (int(each) for each in sys.argv[1:5])
    rows = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    if simulated:
        # loads the engine, which a training costs more than all else
        from services.detector.detectors.first_forest import made_up_rows

        rows = np.concatenate([rows, np.resize(made_up_rows(0), (simulated, rows.shape[1]))])
    forest = grow(rows, names=tuple(sys.argv[5:]), seed=seed, count=trees, sample=sample)
    sys.stdout.buffer.write(forest_format.write(forest))


if __name__ == "__main__":
    main()
