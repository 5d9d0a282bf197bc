"""The compiled loop over the buckets of histograms."""

import numpy as np

from mesh.jit import BOOLS, FLOAT64_ROWS, FLOAT64S, INT64S, NOTHING, kernel


@kernel(
    NOTHING,
    INT64S,
    INT64S,
    FLOAT64S,
    INT64S,
    INT64S,
    FLOAT64S,
    FLOAT64S,
    FLOAT64S,
    BOOLS,
    FLOAT64S,
    FLOAT64S,
    FLOAT64_ROWS,
)
def step_quantiles(  # type: ignore[no-untyped-def]
    starts,
    keys,
    counts,
    earlier_starts,
    earlier_keys,
    earlier_counts,
    lower,
    upper,
    exponential,
    asked,
    scratch,
    quantiles,
):
    """Quantiles of what many histograms have counted since an earlier state of each.

    Args:
        starts: Where the buckets of each histogram begin, and the end of the last one's.
        keys: What each bucket is known by, ascending within a histogram.
        counts: Observations in each bucket so far.
        earlier_starts: As `starts`, of the earlier states. So are the next two.
        earlier_keys: As `keys`.
        earlier_counts: As `counts`. A bucket that has fewer now tells of a reset: then all counts.
        lower: Lower bound of each bucket, parallel to `keys`.
        upper: Upper bound.
        exponential: Of each histogram, whether its buckets grow by a factor.
        asked: The quantiles, ascending, between 0 and 1.
        scratch: As long as `keys`.
        quantiles: Out: one row a histogram; NaN where nothing was counted.
    """
    for histogram in range(len(starts) - 1):
        first, last = starts[histogram], starts[histogram + 1]
        at, end = earlier_starts[histogram], earlier_starts[histogram + 1]
        reset = False
        for place in range(first, last):
            while at < end and earlier_keys[at] < keys[place]:
                reset |= earlier_counts[at] > 0
                at += 1
            before = 0.0
            if at < end and earlier_keys[at] == keys[place]:
                before = earlier_counts[at]
                at += 1
            scratch[place] = counts[place] - before
            reset |= scratch[place] < 0
        while at < end:
            reset |= earlier_counts[at] > 0
            at += 1
        total = 0.0
        for place in range(first, last):
            if reset:
                scratch[place] = counts[place]
            total += scratch[place]
        for which in range(len(asked)):
            quantiles[histogram, which] = np.nan
            if not total > 0:
                continue
            rank = asked[which] * total
            passed = 0.0
            chosen = -1
            for place in range(first, last):
                if scratch[place] > 0:
                    chosen = place
                    if passed + scratch[place] >= rank:
                        break
                    passed += scratch[place]
            share = min(1.0, max(0.0, (rank - passed) / scratch[chosen]))
            low, high = lower[chosen], upper[chosen]
            if np.isinf(high):
                quantiles[histogram, which] = low
            elif np.isinf(low):
                quantiles[histogram, which] = high
            elif (exponential[histogram] and low > 0) or (exponential[histogram] and high < 0):
                quantiles[histogram, which] = low * (high / low) ** share
            else:
                quantiles[histogram, which] = low + (high - low) * share
