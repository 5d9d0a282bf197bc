"""What is read of a model's answer can be stored, whatever it was."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.explainer.model.prompt import Prompt
from services.explainer.wording.answer import TEXT_CHARS_MAX, read

PROMPT = Prompt(system="Say why.", user="The evidence.")


@given(st.text(alphabet=st.characters(), max_size=50) | st.just("\ud800 half") | st.just("a\x00b"))
def test_any_text_can_be_stored(said: str) -> None:
    answer = json.dumps({"root_cause": said, "mitigation": "", "summary": said})
    text = read(answer, PROMPT)
    text.summary.encode()
    assert "\x00" not in text.summary


def test_nobody_reads_more_than_so_much() -> None:
    answer = json.dumps({"root_cause": "", "mitigation": "", "summary": "a-" * 500_000})
    assert len(read(answer, PROMPT).summary) == TEXT_CHARS_MAX
