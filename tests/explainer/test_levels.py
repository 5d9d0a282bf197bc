"""Figures are told as the levels they are."""

import pytest

from tests.explainer.test_honest import advice_stands, stands


@pytest.mark.parametrize(
    "sentence",
    [
        "Memory of cart is usually 513 MiB and is now at 1.98 GiB [E1].",
        "Memory of cart reached 1.98 GiB (baseline 513 MiB) [E1].",
        "Memory of cart is 98.5x its usual spread [E1].",
        "Memory is at 1.98 GiB, compared to a baseline of 513 MiB [E1].",
        "Memory of cart rose to 1.98 GiB, up from 513 MiB [E1].",
        "Memory was at 513 MiB (baseline) before [E1].",
        "Memory is at 1.98 GiB instead of the usual 513 MiB [E1].",
        "Memory rose 120 s before the alert [E1].",
        "up of web plummeted to 0 [E4].",
        "Memory soared to 1.98 GiB, a jump of 98.5 times its usual spread [E1].",
        "Memory is far above its usual level [E1].",
        "Disk of redis-cart is at 97 percent of its capacity [E3].",
    ],
)
def test_level_stands(sentence: str) -> None:
    assert stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Memory of cart is usually 1.98 GiB and is now at 513 MiB [E1].",
        "Memory of cart reached only 513 MiB [E1].",
        "The baseline of memory_bytes was 1.98 GiB [E1].",
        "Memory is at 513 MiB, compared to a baseline of 1.98 GiB [E1].",
        "Memory is at 1.98 GiB (baseline) [E1].",
        "Memory rose to 513 MiB [E1].",
        "Memory stayed below 513 MiB [E1].",
    ],
)
def test_baseline_and_what_was_observed_are_not_swapped(sentence: str) -> None:
    assert not stands(sentence)


@pytest.mark.parametrize(
    "way",
    [
        "plummeted to 1.98 GiB", "is dropping", "collapsed", "is lower than usual", "vanished",
        "is sinking", "plunged", "tumbled", "is below its usual level", "is decreasing",
    ],
)  # fmt: skip
def test_fall_of_what_rose_is_struck(way: str) -> None:
    assert not stands(f"Memory of cart {way} [E1].")


@pytest.mark.parametrize(
    "sentence",
    [
        "Disk of redis-cart increased 97 percent [E3].",
        "Disk of redis-cart shows an increase of 97 percent [E3].",
        "Disk of redis-cart was up 97 percent [E3].",
        "Disk rose by a whopping 97 percent [E3].",
        "A 97 percent increase was seen [E3].",
        "97 percent of requests failed on redis-cart [E3].",
        "97 percent of the queries timed out on redis-cart [E3].",
        "redis-cart was up for 97 percent of the time [E3].",
        "Disk of redis-cart is 97 percent idle [E3].",
        "It was 120 s or more before the alert [E1].",
        "It was at most 120 s before the alert [E1].",
        "Memory is 1.98 GiB on average [E1].",
        "Memory is 1.98 GiB each [E1].",
        "cart leaked 1.98 GiB [E1].",
        "cart was down for 120 s [E1].",
        "Memory rose from 513 MiB to 1.98 GiB within 120 s [E1].",
        "Memory rose 120 s into the incident [E1].",
        "It takes another 1.98 GiB [E1].",
    ],
)
def test_level_told_as_difference_share_bound_or_duration_is_struck(sentence: str) -> None:
    assert not stands(sentence)


def test_advice_may_ask_for_a_level() -> None:
    assert advice_stands("Watch memory until it returns to 513 MiB.")
