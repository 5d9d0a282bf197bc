"""The machine's clock."""

import time

from mesh.clock import Clock, SystemClock


async def test_system_clock_tells_wall_time_and_sleeps() -> None:
    clock: Clock = SystemClock()
    before_ms, started_s = clock.now_ms(), clock.monotonic_s()
    await clock.sleep(0.05)
    assert abs(before_ms - time.time() * 1000) < 1000
    assert clock.now_ms() >= before_ms + 40
    assert clock.monotonic_s() - started_s >= 0.05
