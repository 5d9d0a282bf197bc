"""One sample through the engine: what is new about it, how loud to be, what to learn."""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.detector.detectors import (
    contexts,
    drift,
    episode,
    forest,
    grid,
    kinds,
    loudness,
    novelty,
    tension,
)
from services.detector.detectors.drift import DAY_MS, QUARTER_MS
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Sample

RECENT: Final = 1.0 - 0.5 ** (1.0 / 20.0)
"""Weight of a new sample in the recent level: half-life 20 samples."""
REACH: Final = 3.0
"""Half-width of the expected range in spreads."""
AWAY_DAYS: Final = 1.0
"""How long the way back to the level before a new one is no fault."""
MOST: Final = 4_294_967_295
BLOCK: Final = 128
"""Samples of different series that pass through the forest together."""

HOME: Final = np.dtype(
    [("last", np.float64), ("level", np.float64), ("days", np.float32)], align=True
)
"""Where the series was before its new level, and for how many days that is remembered."""

Rows = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Column = npt.NDArray[np.float64]
Factors = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]
States = npt.NDArray[np.void]


class Asked(NamedTuple):
    """What is asked of alarms: the budget a week, and by row its factor and the least score."""

    per_week: float
    allowance: Factors
    least: Column


class Found(NamedTuple):
    """Columns to write, one entry per sample; what `engine.Scores` tells.

    `alert` gets the strength of the alarm, negative where it stays silent because of `least`.
    """

    features: Features
    value: Column
    expected: Column
    ready: npt.NDArray[np.bool_]
    elapsed_ms: Column
    silence: Column
    raw: Column
    alert: Column
    ended: npt.NDArray[np.int8]
    drifted: npt.NDArray[np.bool_]


class Room(NamedTuple):
    """Room for a block of samples; entries by their places in it.

    Attributes:
        met: where each is new.
        x: what of it is scored.
        taken: whether it is scored at all.
        strange: its strangeness.
        rows: of the forest.
        spare, spare_strange: features that nobody asks for, one row, and their strangeness.
    """

    met: States
    x: Column
    taken: npt.NDArray[np.bool_]
    strange: Column
    rows: forest.Room
    spare: Features
    spare_strange: Column


def room() -> Room:
    """Room that a batch takes once."""
    features = len(contexts.FEATURES)
    return Room(
        np.zeros(BLOCK, novelty.MET),
        np.zeros(BLOCK),
        np.zeros(BLOCK, np.bool_),
        np.zeros(BLOCK),
        forest.room(BLOCK, features),
        np.zeros((1, features), np.float32),
        np.zeros(1),
    )


@kernel
def meet_first(
    s: np.void, x: float, local_ms: int, warm_up: int, found: Found, i: int, room: Room, k: int
) -> None:
    """What is new about a sample, and where it was expected."""
    count = s["clock"]["count"]
    if count == 0:
        s["last"], s["before"], s["level"] = x, x, x
        episode.begin(s["episode"])
        drift.begin(s["drift"], x)
    found.ready[i] = count >= warm_up
    features = found.features[i] if found.ready[i] else room.spare[0]
    contexts.meet(s["contexts"], _sample(s, x, local_ms), features, room.met[k])
    if found.ready[i]:
        found.expected[i, 0], found.expected[i, 1] = _expect(s)


@kernel
def settle(
    s: np.void,
    row: int,
    local_ms: int,
    trees: forest.Trees,
    asked: Asked,
    found: Found,
    i: int,
    room: Room,
    k: int,
) -> None:
    """Judges and learns a sample whose strangeness is known."""
    count, learn, x = s["clock"]["count"], episode.LEARN, room.x[k]
    if found.ready[i] and trees.size > 0:
        strange, days = room.strange[k], found.elapsed_ms[i] / DAY_MS
        if s["home"]["days"] > 0.0:
            strange = _look_home(s, x, local_ms, strange, days, trees, found, i, room, k)
        learn = _judge(s, x, row, count, strange, days, asked, found, i)
    _learn(s, x, local_ms, count, learn, room, k)
    _drift(s, row, local_ms, trees, asked, found, i)
    s["clock"]["count"] = min(count + 1, MOST)


@kernel
def _drift(
    s: np.void, row: int, local_ms: int, trees: forest.Trees, asked: Asked, found: Found, i: int
) -> None:
    """Lets a drift speak where nothing else is abnormal."""
    low, high, rarity = drift.follow(s["drift"], s["level"], local_ms, found.elapsed_ms[i])
    if rarity == 0.0 or trees.size == 0 or not found.ready[i] or s["loudness"]["open"]:
        return
    per_week = asked.per_week * asked.allowance[row]
    found.alert[i] = loudness.warn(s["loudness"], per_week, asked.least[row])
    if found.alert[i] > 0.0:
        found.drifted[i] = True
        found.raw[i] = max(found.raw[i], rarity)
        found.expected[i, 0], found.expected[i, 1] = low, high
        s["loudness"]["open"] = loudness.STAYS


@kernel
def _judge(
    s: np.void,
    x: float,
    row: int,
    count: int,
    strange: float,
    days: float,
    asked: Asked,
    found: Found,
    i: int,
) -> int:
    """Raw score, alarm and end of an episode; what is to be learnt."""
    repeats = np.float64(s["episode"]["repeats"])
    step = episode.step(s["episode"], strange, x, s["last"], count, days)
    if step.end == episode.USUAL_AGAIN:
        s["tension"]["level"] = 0.0
    found.raw[i] = tension.rank(s["tension"], strange, found.elapsed_ms[i])
    found.alert[i] = loudness.speak(
        s["loudness"],
        strange,
        s["tension"]["level"],
        step,
        repeats,
        days,
        asked.per_week * asked.allowance[row],
        asked.least[row],
        found.raw[i],
    )
    if s["loudness"]["open"] == loudness.STAYS:
        s["loudness"]["open"] = 0
        found.ended[i] = episode.STAYS
    if found.alert[i] > 0.0:
        s["loudness"]["open"] = 1
    elif s["loudness"]["open"] and (step.end or s["episode"]["calm"] >= episode.CALM):
        s["loudness"]["open"] = 0
        found.ended[i] = max(step.end, episode.USUAL_AGAIN)
    return step.learn


@kernel
def _look_home(
    s: np.void,
    x: float,
    local_ms: int,
    strange: float,
    days: float,
    trees: forest.Trees,
    found: Found,
    i: int,
    room: Room,
    k: int,
) -> float:
    """Strangeness of a sample that may be the way back from a new level, which is no fault."""
    s["home"]["days"] -= days
    if s["home"]["days"] <= 0.0 or not episode.is_strange(2.0 * strange, s["clock"]["count"]):
        return strange
    last, before, level = s["last"], s["before"], s["level"]
    home = s["home"]["last"]
    s["last"], s["before"], s["level"] = home, home, s["home"]["level"]
    _meet(s, x, local_ms, room, k)
    forest.strangeness(trees, room.spare, room.rows, room.spare_strange)
    if episode.is_strange(2.0 * room.spare_strange[0], s["clock"]["count"]):
        s["last"], s["before"], s["level"] = last, before, level
        _meet(s, x, local_ms, room, k)
        return strange
    s["home"]["days"] = 0.0
    s["value_grid"]["mean"] = s["home"]["level"]
    for feature in range(room.spare.shape[1]):
        found.features[i, feature] = room.spare[0, feature]
    return np.float64(room.spare_strange[0])


@kernel
def _learn(s: np.void, x: float, local_ms: int, count: int, what: int, room: Room, k: int) -> None:
    """Learns the sample, which was met last; after a spike or at a new level it is met anew."""
    if what == episode.KEEP_APART:
        return
    if what == episode.LEARN_SPIKE:
        for each in range(s["episode"]["strange"]):
            kept = s["episode"]["kept"][each]
            sample = _meet(s, kept, local_ms, room, k)
            contexts.learn(s["contexts"], sample, room.met[k])
            _learn_signals(s, kept, count)
    elif what == episode.NEW_LEVEL:
        s["home"]["last"], s["home"]["level"] = s["last"], s["level"]
        s["home"]["days"] = AWAY_DAYS
        s["value_grid"]["mean"] = x
        s["last"], s["before"], s["level"] = x, x, x
        drift.begin(s["drift"], x)
    sample = _sample(s, x, local_ms)
    if what != episode.LEARN:
        contexts.meet(s["contexts"], sample, room.spare[0], room.met[k])
    contexts.learn(s["contexts"], sample, room.met[k])
    _learn_signals(s, x, count)


@kernel
def _meet(s: np.void, x: float, local_ms: int, room: Room, k: int) -> Sample:
    sample = _sample(s, x, local_ms)
    contexts.meet(s["contexts"], sample, room.spare[0], room.met[k])
    return sample


@kernel
def start_over(s: np.void, blank: np.void) -> None:
    """Forgets all values, not when they came nor of what kind they are."""
    s["clock"]["count"] = 0
    s["value_grid"] = blank["value_grid"]
    s["change_grid"] = blank["change_grid"]
    s["offset_grid"] = blank["offset_grid"]
    s["home"] = blank["home"]
    s["drift"] = blank["drift"]
    s["episode"] = blank["episode"]
    s["loudness"] = blank["loudness"]
    s["tension"] = blank["tension"]
    s["contexts"] = blank["contexts"]


@kernel
def _sample(s: np.void, x: float, local_ms: int) -> Sample:
    values = grid.scale(s["value_grid"])
    changes, offsets = grid.scale(s["change_grid"]), grid.scale(s["offset_grid"])
    return Sample(
        grid.cell(values, x),
        grid.cell(values, s["last"]),
        grid.cell(values, s["before"]),
        grid.cell(changes, x - s["last"]),
        grid.cell(offsets, x - s["level"]),
        (local_ms % DAY_MS) // QUARTER_MS,
        1 if (local_ms // DAY_MS + 3) % 7 >= 5 else 0,
        grid.reach(s["value_grid"], values),
        grid.reach(s["change_grid"], changes),
        grid.reach(s["offset_grid"], offsets),
    )


@kernel
def _learn_signals(s: np.void, x: float, count: int) -> None:
    rate, least = grid.rate_after(count), _least_spread(s)
    steps = grid.learn(s["value_grid"], x, count, rate, least)
    if steps != 0:
        contexts.rescale_values(s["contexts"], steps)
    steps = grid.learn(s["change_grid"], x - s["last"], count, rate, least)
    if steps != 0:
        contexts.rescale_changes(s["contexts"], steps)
    steps = grid.learn(s["offset_grid"], x - s["level"], count, rate, least)
    if steps != 0:
        contexts.rescale_offsets(s["contexts"], steps)
    s["before"] = s["last"]
    s["last"] = x
    s["level"] += max(RECENT, 1.0 / (count + 1.0)) * (x - s["level"])


@kernel
def _least_spread(s: np.void) -> float:
    return kinds.LEAST * abs(s["level"]) if kinds.is_counter(s["kind"]) else 0.0


@kernel
def _expect(s: np.void) -> tuple[float, float]:
    """Where the next value should lie: near the last one or near the level, what varies less.

    Never below zero in a series that never was, and of a counter never narrower than its rates
    are exact.
    """
    if s["change_grid"]["spread"] < s["offset_grid"]["spread"]:
        middle, spread = (
            s["last"] + s["change_grid"]["mean"],
            np.float64(s["change_grid"]["spread"]),
        )
    else:
        middle, spread = (
            s["level"] + s["offset_grid"]["mean"],
            np.float64(s["offset_grid"]["spread"]),
        )
    floor = 0.0 if s["value_grid"]["lowest"] >= 0.0 else -math.inf
    reach = REACH * max(spread, _least_spread(s))
    return max(middle - reach, floor), max(middle + reach, floor)
