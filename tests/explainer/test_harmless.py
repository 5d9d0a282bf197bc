"""No address, tag, mention or link leaves, neither in a name nor in text told piece by piece."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explainer.model.names import harmless, plain
from services.explainer.wording.partial import StringValues, WholeWords
from tests.explainer.conftest import Start
from tests.explainer.peers import OllamaServer

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


@given(rough | pieces, st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_text_is_as_harmless_however_it_is_cut(text: str, cuts: list[int]) -> None:
    words, rest, told = WholeWords(), text, ""
    while rest:
        size = cuts[len(rest) % len(cuts)]
        told += words.feed(rest[:size])
        rest = rest[size:]
    assert told + words.rest() == harmless(text)


def test_word_without_an_end_is_told_in_parts() -> None:
    words = WholeWords()
    assert words.feed("x" * 450) == f"{'x' * 200} {'x' * 200} "
    assert words.rest() == "x" * 50


async def test_stream_of_a_model_that_says_markup_has_none(start: Start) -> None:
    said = json.dumps({"root_cause": " ".join(EVIL), "mitigation": "\n".join(EVIL), "summary": "a"})
    async with OllamaServer(answer=said, piece_every_s=0.02).serve() as provider:
        explainer = await start(llm_providers=(provider,))
        frames = await explainer.explain()
    deltas = [frame.text_delta.text for frame in frames if frame.HasField("text_delta")]
    assert len(deltas) > 2
    assert "".join(deltas) == harmless(StringValues().feed(said))
    assert not ACTS.search("".join(deltas))
