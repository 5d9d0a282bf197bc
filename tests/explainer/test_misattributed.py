"""What is true of one thing is struck where it is told of another."""

import pytest

from tests.explainer.test_honest import stands


@pytest.mark.parametrize(
    "sentence",
    [
        "Memory of cart rose at 22:11:20 UTC [E1].",
        "cart@4f2c9e1 was deployed at 22:06:20 UTC [E5].",
        "cart@4f2c9e1 was deployed at 22:06.",
        "cart was deployed at 22:06 and its memory rose at 22:11 [E1] [E5].",
        "The alert HighCPU fired at 22:13:20 UTC, when memory had risen [E1].",
        "The alert fired at 22:13:20.",
        "cart failed at 22:13:20.",
    ],
)
def test_time_stands_where_it_was(sentence: str) -> None:
    assert stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Memory of cart rose at 22:06:20 UTC [E1].",
        "Memory of cart rose at 21:13:20 UTC [E1].",
        "Memory has been high since 21:13 [E1].",
        "Memory of cart was high until 22:18:20 [E1].",
        "cart@4f2c9e1 was deployed at 22:11:20 UTC [E5].",
        "cart@4f2c9e1 was deployed at 22:13:20 UTC [E5].",
        "Memory rose at 22:06:20, right when cart@4f2c9e1 was deployed [E1].",
        "web fell at 22:06 [E4].",
        "The alert resolved at 22:13:20 UTC.",
        "The alert HighCPU ended at 22:13.",
    ],
)
def test_time_of_something_else_is_struck(sentence: str) -> None:
    assert not stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "log_errors of cart rose from 0.4 to 18.7 [E2].",
        "Because web calls cart, it failed 120 s before the alert [E6] [E4].",
        "cart filled its memory up to 1.98 GiB [E1], and web fell to 0 [E4].",
        "The memory of db1 reached 1.98 GiB [E1].",
        "cart calls redis-cart, whose disk is at 97 [E3] [E6].",
    ],
)
def test_citation_of_what_is_named_stands(sentence: str) -> None:
    assert stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "redis-cart logged more errors, from 0.4 to 18.7 [E2].",
        "redis-cart's log_errors rose from 0.4 to 18.7.",
        "log_errors on redis-cart rose from 0.4 to 18.7.",
        "web was deployed 420 s before the alert [E5].",
        "cart@4f2c9e1 was rolled out to web [E5].",
        "redis-cart reached 18.7 [E2] [E3].",
        "web is down [E1].",
        "redis-cart calls cart [E6].",
        "cart depends on web [E6].",
    ],
)
def test_citation_of_something_else_than_what_is_named_is_struck(sentence: str) -> None:
    assert not stands(sentence)
