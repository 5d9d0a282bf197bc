"""No address, tag, mention or link leaves, neither in a name nor in text told piece by piece."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explainer.model.names import harmless, plain

ACTS = re.compile(
    r"://|www\.\w|javascript:|[<>`*]|\]\(|@\w|&[\w#]|(?<!\S)#|\w\.(?:com|test|io)(?::\d+)?/",
    re.IGNORECASE,
)
EVIL = (
    "@channel", "@here", "**bold**", "# head", "`id`", "&lt;b&gt;", "[x](//evil.test)", "&#60;",
    "www.evil.com", "JavaScript:alert(1)", "<script>", "see evil.com/.", "a@evil.io", "http://e.io/x",
    "evil.com:80/x", "evil.com/[.]x", "[x]: //evil.com/", "sub.evil.com/,",
)  # fmt: skip
pieces = st.lists(st.sampled_from(["a", " ", "\n", *EVIL]), max_size=8).map("".join)
rough = st.text(alphabet="aB1.@#&:/]([)<*_-\u3002\u200b xcom", max_size=80)


@pytest.mark.parametrize("evil", EVIL)
def test_what_acts_does_not_leave(evil: str) -> None:
    assert ACTS.search(evil)
    assert not ACTS.search(harmless(evil))
    assert not ACTS.search(plain(evil))


@pytest.mark.parametrize(
    "name",
    [
        "web-1", "10.0.0.1:9100", "db1.prod.example.com:9100", "node1.example.com", "main.py",
        "orders.prod.svc.cluster.local:80", 'cpu{host="a",core="7"}',
        "job:errors:rate5m", "v1.2.3", "/var/lib/a_b", "R&D", "größe-1", "C#",
    ],
)  # fmt: skip
def test_names_that_do_nothing_stay_as_they_are(name: str) -> None:
    expected = name.replace("R&D", "R[&]D")
    assert plain(name) == expected


@given(rough | pieces | st.text(max_size=80), st.integers(3, 40))
def test_twice_is_like_once(text: str, chars_max: int) -> None:
    short = plain(text, chars_max)
    assert harmless(harmless(text)) == harmless(text)
    assert plain(short, chars_max) == harmless(short) == short
    assert len(short) <= chars_max
