"""What is read of a model's answer can be stored, whatever it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explainer.llm.provider import ProviderError
from services.explainer.model.prompt import Prompt
from services.explainer.wording.answer import TEXT_CHARS_MAX, read
from services.explainer.wording.partial import WithoutThoughts

PROMPT = Prompt(system="Say why.", user="The evidence.")


@given(st.text(alphabet=st.characters(), max_size=50) | st.just("\ud800 half") | st.just("a\x00b"))
def test_any_text_can_be_stored(said: str) -> None:
    answer = json.dumps({"root_cause": said, "mitigation": "", "summary": said})
    text = read(answer, PROMPT)
    text.summary.encode()
    assert "\x00" not in text.summary


GOOD = json.dumps({"root_cause": "good", "mitigation": "", "summary": ""})
DRAFT = GOOD.replace("good", "draft")


@pytest.mark.parametrize(
    "answer",
    [
        f"<think>{{hm}}</think>{GOOD}",
        f'<think>{{"a": 1}}</think>{GOOD}',
        f"<think>Perhaps {DRAFT}?</think>\n{GOOD}",
        f"Perhaps {DRAFT}?</think>\n{GOOD}",
        f"<think>{'{' * 1000}</think>{GOOD}",
        f"```json\n{GOOD}\n```",
        f"Use {{braces}}:\n```\n{GOOD}\n```\n{DRAFT}",
        f'{{"a": {{"b": 1}}}} {GOOD}',
        GOOD.replace("good", "good</think>"),
    ],
)
def test_object_is_found_wherever_it_stands(answer: str) -> None:
    assert read(answer, PROMPT).root_cause.removesuffix("</think>") == "good"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (f"<think>{DRAFT}</think>{GOOD[:20]}", "broken JSON"),
        ("{" * 500_000, "broken JSON"),
        ('{"a":' * 200_000, "broken JSON"),
        (f'{{"a": {GOOD}}}', "schema ignored"),
        ("{no} " * 32 + GOOD, "broken JSON"),
    ],
)
def test_what_is_no_answer_is_refused_in_bounded_time(answer: str, reason: str) -> None:
    with pytest.raises(ProviderError, match=reason):
        read(answer, PROMPT)


@given(
    st.sampled_from(["", " ", "<think>", "\n<think>", "<thin", "<think> </thin"]),
    st.lists(st.integers(1, 9), min_size=1, max_size=9),
)
def test_thoughts_are_left_out_however_the_answer_is_cut(begins: str, cuts: list[int]) -> None:
    rest = f"{begins}a</think>b"
    whole = WithoutThoughts().feed(rest)
    assert whole == ("b" if begins.strip().startswith("<think>") else rest)
    words, told = WithoutThoughts(), ""
    while rest:
        size = cuts[len(rest) % len(cuts)]
        told, rest = told + words.feed(rest[:size]), rest[size:]
    assert told == whole


def test_nobody_reads_more_than_so_much() -> None:
    answer = json.dumps({"root_cause": "", "mitigation": "", "summary": "a-" * 500_000})
    assert len(read(answer, PROMPT).summary) == TEXT_CHARS_MAX
