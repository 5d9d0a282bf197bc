"""The machine's clock."""

import time

from mesh.clock import Clock, SystemClock


async def test_system_clock_tells_wall_time_and_sleeps() -> None:
    clock: Clock = SystemClock()
    times_ms = [int(time.time() * 1000), clock.now_ms(), int(time.time() * 1000)]
    assert times_ms == sorted(times_ms)
    started_s = clock.monotonic_s()
    await clock.sleep(0.05)
    assert clock.monotonic_s() >= started_s + 0.05
