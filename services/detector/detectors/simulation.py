"""Made-up series of many kinds: what the first forest learns from before there is any history."""

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

KINDS = 6


def series(seed: int, samples: int, per_day: int) -> F64:
    """One made-up series of `samples` values, `per_day` of them a day; the same for a seed."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / per_day
    noise = _noise(random, samples, seed % KINDS)
    depth, weekly = random.uniform(0.0, 3.0), random.uniform(0.0, 1.0)
    season = depth * np.sin(2.0 * np.pi * (time + random.uniform()))
    season *= 1.0 - weekly * ((time.astype(np.int64) + 3) % 7 >= 5)
    shape = season + noise + _bursts(random, samples) + _shifts(random, samples)
    return np.asarray(random.lognormal(0.0, 3.0) * (shape + random.uniform(0.0, 20.0)))


def _noise(random: np.random.Generator, samples: int, kind: int) -> F64:
    if kind == 0:
        return random.normal(0.0, 1.0, samples)
    if kind == 1:
        return random.standard_t(3.0, samples)
    if kind == 2:
        return random.poisson(random.uniform(0.1, 3.0), samples).astype(np.float64)
    if kind == 3:
        return random.gamma(0.5, 1.0, samples)
    if kind == 4:
        return _autoregressive(random.normal(0.0, 0.3, samples), 0.95)
    return np.where(random.uniform(size=samples) < 0.02, random.uniform(3.0, 9.0, samples), 0.0)


def _autoregressive(shocks: F64, memory: float) -> F64:
    level, out = 0.0, np.empty_like(shocks)
    for index, shock in enumerate(shocks):
        level = memory * level + shock
        out[index] = level
    return out


def _bursts(random: np.random.Generator, samples: int) -> F64:
    out = np.zeros(samples)
    for start in random.integers(0, samples, random.poisson(samples / 500.0)):
        length = int(random.geometric(0.2))
        out[start : start + length] += random.normal(0.0, 6.0)
    return out


def _shifts(random: np.random.Generator, samples: int) -> F64:
    steps = np.where(random.uniform(size=samples) < 1.0 / 3000.0, 1.0, 0.0)
    return np.asarray(np.cumsum(steps * random.normal(0.0, 2.0, samples)))
