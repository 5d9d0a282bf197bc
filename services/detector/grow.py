"""The training process: feature rows (.npy) on stdin, a forest on stdout.

python -m services.detector.grow SEED TREES SAMPLE < rows.npy > forest
"""

import io
import sys

import numpy as np

from services.detector.detectors.engine import train


def main() -> None:
    """Reads, trains, writes."""
    seed, trees, sample = (int(each) for each in sys.argv[1:4])
    rows = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    forest = train(rows, seed=seed, trees=trees, sample=sample)
    sys.stdout.buffer.write(forest.to_bytes())


if __name__ == "__main__":
    main()
