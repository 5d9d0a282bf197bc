"""Selectors are Prometheus' own, with the place of each mistake."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.selector import SelectorError, parse, written, written_any

LABELS = {"__name__": "cpu_usage", "host": "a", "core": "2"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("  { }  ", True),
        ("cpu_usage", True),
        ("cpu", False),
        ("job:cpu:rate5m", False),
        ('cpu_usage{host="a"}', True),
        ('cpu_usage { host = "a" , core = "2" , }', True),
        ("{host='a'}", True),
        ("{host=`a`}", True),
        ('{"cpu_usage"}', True),
        ('{"cpu_usage", host="b"}', False),
        ('{"host"="a"}', True),
        ('{host!="a"}', False),
        ('{host!="b"}', True),
        ('{core=~"[0-3]"}', True),
        ('{core=~"[0-1]"}', False),
        ('{core!~"[0-1]"}', True),
        ('{host=~"a|b",host!~"b"}', True),
        ('{__name__=~"cpu.*"}', True),
        ('{__name__=~"usage"}', False),
        ('{absent=""}', True),
        ('{absent!=""}', False),
        ('{absent=~".*"}', True),
        ('{absent=~".+"}', False),
        ('{host="\\x61"}', True),
        ('{host="\\u0061"}', True),
        ('{host="\\141"}', True),
    ],
)
def test_a_selector_selects(text: str, selected: bool) -> None:
    assert parse(text).matches(LABELS) is selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "at character 2 ('the end'): expected a label name"),
        ("cpu{host}", "at character 9 ('}'): expected one of = != =~ !~"),
        ("cpu{host=a}", "at character 10 ('a}'): expected a quoted value"),
        ('cpu{host="a}', "at character 10 ('\"a}'): expected a quoted value"),
        ('cpu{host="a" core="2"}', "at character 14 ('core=\"2\"}'): expected ',' or '}'"),
        ("cpu mem", "at character 5 ('mem'): expected '{' or the end"),
        ("{,}", "at character 2 (',}'): expected a label name"),
        ('{a="\\q"}', "at character 4 ('\"\\\\q\"}'): unknown escape sequence in"),
        ('{a="\\ud800"}', "at character 4 ('\"\\\\ud800\"}'): escape sequence of no character in"),
        ('cpu{__name__="x"}', "the metric name is set twice: before the braces and in them"),
        ("x" * 5000, "a selector has at most 4096 characters"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_bad_regular_expression_is_named() -> None:
    with pytest.raises(SelectorError, match=r"bad regular expression 'a\(\?!b\)'"):
        parse('{x=~"a(?!b)"}')


def test_hostile_expressions_take_linear_time() -> None:
    selector = parse('{x=~"(a+)+$"}')
    assert not selector.matches({"x": "a" * 50_000 + "b"})


def test_only_exact_matchers_with_a_value_can_use_an_index() -> None:
    selector = parse('m{a="1",b="",c!="2",d=~"3",e="\\x00"}')
    assert selector.equalities() == {"__name__": "m", "a": "1"}


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ('{a=~"b|c"}', [{"a": "b"}, {"a": "c"}]),
        (r'{a=~"b\\.c|d\\|e",f="1"}', [{"f": "1", "a": "b.c"}, {"f": "1", "a": "d|e"}]),
        ('{a=~"b",a="c"}', [{"a": "c"}]),
        ('{a=~"b.*|c"}', [{}]),
        ('{a=~"b|"}', [{}]),
        ('{a=~"(?i)b"}', [{}]),
        (r'{a=~"\\d"}', [{}]),
        ('{a!~"b|c"}', [{}]),
    ],
)
def test_an_expression_that_lists_texts_can_use_an_index(
    text: str, listed: list[dict[str, str]]
) -> None:
    assert parse(text).alternatives() == listed


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=5, unique=True))
def test_listed_values_select_themselves_and_nothing_is_lost_in_the_index(
    values: list[str],
) -> None:
    selector = parse(written_any("m", {}, "x", values))
    kept = selector.alternatives()
    for each in values:
        labels = {"__name__": "m", "x": each}
        assert selector.matches(labels)
        assert any(some.items() <= labels.items() for some in kept)
    assert not selector.matches({"__name__": "m", "x": "".join(values) + "!"})


@given(
    st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True) | st.text(min_size=1, max_size=5),
                    st.text(max_size=20)),
    st.text(max_size=20),
)  # fmt: skip
def test_every_label_set_selects_itself(labels: dict[str, str], metric: str) -> None:
    whole = labels | {"__name__": metric}
    selector = parse(written(metric, labels))
    assert selector.matches(whole)
    assert {each.name for each in selector.matchers} | {"__name__"} == {*whole}


@given(st.text(max_size=60))
def test_any_text_is_a_selector_or_a_named_mistake(text: str) -> None:
    with contextlib.suppress(SelectorError):
        assert parse(text) is not None
