"""Since when a shard knows what its series send."""

from services.detector.model.checkpoints import Watched
from services.detector.shards.watch import BREAK_MS, STORED_EVERY_MS, Watch

START_MS = 1_780_000_000_000


def test_time_before_the_first_sign_is_not_known() -> None:
    watch = Watch(None)
    assert watch.so_far is None
    assert watch.unstored is None
    watch.beat(START_MS, 0)
    assert watch.so_far == Watched(since_ms=START_MS, until_ms=START_MS)


def test_next_holder_goes_on_where_the_last_one_ended() -> None:
    watch = Watch(Watched(since_ms=START_MS, until_ms=START_MS + 5_000))
    watch.scored(START_MS + 5_000 + BREAK_MS)
    assert watch.since_ms == START_MS


def test_break_in_the_signs_makes_the_time_before_unknown() -> None:
    watch = Watch(Watched(since_ms=START_MS, until_ms=START_MS + 5_000))
    back_ms = START_MS + 5_001 + BREAK_MS
    assert watch.is_break(back_ms)
    watch.beat(back_ms, 0)
    assert (watch.since_ms, watch.until_ms) == (back_ms, back_ms)


def test_heartbeat_says_nothing_while_samples_wait() -> None:
    watch = Watch(None)
    watch.scored(START_MS)
    watch.beat(START_MS + 20_000, 7)
    assert watch.so_far == Watched(since_ms=START_MS, until_ms=START_MS)
    watch.beat(START_MS + 25_000, 0)
    assert watch.so_far == Watched(since_ms=START_MS, until_ms=START_MS + 25_000)


def test_signs_that_come_a_little_late_move_nothing_back() -> None:
    watch = Watch(None)
    watch.beat(START_MS + 3_000, 0)
    watch.scored(START_MS + 1_000)
    assert watch.so_far == Watched(since_ms=START_MS + 3_000, until_ms=START_MS + 3_000)


def test_clock_that_was_wrong_once_is_a_break_and_forgotten() -> None:
    watch = Watch(Watched(since_ms=START_MS, until_ms=START_MS + 5_000))
    watch.beat(START_MS + 90 * 86_400_000, 0)
    watch.beat(START_MS + 10_000, 0)
    assert watch.so_far == Watched(since_ms=START_MS + 10_000, until_ms=START_MS + 10_000)


def test_what_is_gone_from_the_log_is_a_break() -> None:
    watch = Watch(None)
    watch.scored(START_MS)
    watch.skipped()
    watch.scored(START_MS + 1_000)
    assert watch.since_ms == START_MS + 1_000


def test_it_is_stored_some_times_a_minute() -> None:
    watch = Watch(None)
    watch.beat(START_MS, 0)
    watch.committed(watch.unstored)
    watch.beat(START_MS + STORED_EVERY_MS - 1, 0)
    assert watch.unstored is None
    watch.beat(START_MS + STORED_EVERY_MS, 0)
    assert watch.unstored == Watched(since_ms=START_MS, until_ms=START_MS + STORED_EVERY_MS)
