"""Lies that look like the truth are struck, and the truth told in many ways stands."""

import dataclasses

import pytest

from services.explainer.checks.check import check
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.explanation import NamedSuspect, Text
from services.explainer.model.ranking import Reason, Suspect
from services.explainer.wording.facts import Facts
from services.explainer.wording.template import worded
from tests.explainer.test_checks import facts


def incident() -> Facts:
    """`web-1` rose before the alert, `db` after it, was deployed and calls `cart-svc`."""
    alone = facts()
    (piece,) = alone.evidence
    after = dataclasses.replace(
        piece,
        evidence_id="E2",
        kind=EvidenceKind.MOVED_SERIES,
        title="wait_seconds of db rose above its usual range",
        labels={"__name__": "wait_seconds", "host": "db"},
        figures=(
            Figure(name="baseline", value=-3.5, unit="s"),
            Figure(name="observed", value=12.0, unit="s"),
            Figure(name="change_after_event", value=45.0, unit="s"),
        ),
    )
    deploy = Evidence(
        evidence_id="E3",
        kind=EvidenceKind.CHANGE,
        source="explainer change v1.2",
        title="deploy v1.2 in db: größere Puffer",
        start_ms=1_699_999_700_000,
        end_ms=1_699_999_700_000,
        labels={"service": "db"},
        figures=(Figure(name="change_before_event", value=300.0, unit="s"),),
        reference_id="v1.2",
    )
    calls = dataclasses.replace(
        deploy,
        evidence_id="E4",
        kind=EvidenceKind.TOPOLOGY,
        title="db calls cart-svc, web-1 calls db",
        labels={},
        figures=(),
        reference_id="",
    )
    size = dataclasses.replace(
        after,
        evidence_id="E5",
        title="queue_size of db rose above its usual range",
        labels={"__name__": "queue_size", "host": "db"},
        figures=(Figure(name="baseline", value=4.0), Figure(name="observed", value=41.0)),
    )
    second = Suspect(
        entity="db",
        rank=2,
        score=1.0,
        confidence=0.1,
        reasons=(Reason(text="moved", evidence_id="E2", score=1.0),),
    )
    return dataclasses.replace(
        alone,
        suspects=(*alone.suspects, NamedSuspect(suspect=second, labels={"host": "db"})),
        evidence=(piece, after, deploy, calls, size),
    )


def stands(sentence: str) -> bool:
    """Whether a sentence of a model's summary stands as it is."""
    text = Text(root_cause="web-1 is the cause.", mitigation="", summary=sentence)
    checked = check(text, incident(), grounded=True)
    return checked.struck == () and checked.text.summary == sentence


def cause_stands(sentence: str) -> bool:
    """Whether a sentence stands as the cause."""
    text = Text(root_cause=sentence, mitigation="", summary="")
    return check(text, incident(), grounded=True).text.root_cause == sentence


def advice_stands(sentence: str) -> bool:
    """Whether a sentence stands as advice."""
    text = Text(root_cause="", mitigation=sentence, summary="")
    return check(text, incident(), grounded=True).text.mitigation == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "CPU of web-1 rose to 90.4 % at 22:11, 120 s before the alert.",
        "cpu_usage rose from 20 % to 90.4 %, 70.1 times its usual spread [E1].",
        "cpu_usage on web-1 climbed from a baseline of 20 % to 90.4 % [E1].",
        "The CPU usage of web-1 jumped from 20% to 90.4%, 120 seconds before the alert fired.",
        "Alert HighCPU (critical) began at 2023-11-14 22:13:20 UTC.",
        "At 22:11:20 UTC web-1 left its usual range, and 120 s later the alert fired.",
        "The alert came 120 s after cpu_usage rose [E1].",
        "After web-1 reached 90.4 percent CPU usage, the alert HighCPU followed 120 s later.",
        "db followed: wait_seconds went from -3.5 s to 12 s, 45 s after the alert [E2].",
        "wait_seconds of db rose from minus 3.5 seconds to 12 seconds.",
        "A deploy of v1.2 to db took place 300 s before the alert [E3].",
        "db calls cart-svc, so web-1's slowness may reach it [E4].",
        "The size of the move is 70.1 sigma, far outside the usual spread [E1].",
        "This is 70.1 standard deviations from its baseline (E1).",
        "web-1 \u2013 the busiest host by far \u2013 shows it clearly [E1], [E2].",
        "It\u2019s web-1\u2019s CPU that is exhausted, see the long\u2011running processes [E1].",
        "The queue_size of db rose from 4 to 41 [E5].",
        "Meanwhile, db waited longer [E2].",
        "web-1 is CPU-bound, with cpu_usage at 90.4 % since 22:11.",
        "The deploy brought größere Puffer to db [E3].",
        "The 120-second lead of web-1 points to it as the first to move.",
        "HighCPU may be a symptom of what happened on web-1.",
        "The second suspect is db [E2].",
        "As a result, db slowed down [E2].",
        "cpu_usage rose to 90.4 %, i.e. far above its baseline [E1].",
        "web-1 hit 90.4 % 120 s before the alert; it has been saturated since 22:11:20 UTC.",
        "The CPU usage of web-1 is at 90.4% (baseline: 20%), up from 20%.",
        "Resource exhaustion on web-1 explains the alert.",
        "According to E1, cpu_usage had risen by 22:11 UTC.",
    ],
)
def test_honest_sentence_stands(sentence: str) -> None:
    assert stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Throttle the busiest process on web-1.",
        "Restart web-1, then check whether cpu_usage falls below 90.4 %.",
        "Roll back v1.2 of db if it does not recover.",
        "Find what uses the processor on web-1, then stop it or give it more.",
        "Add capacity to db or limit the load it gets from web-1.",
        "Investigate long-running queries, and scale out the service if needed.",
        "Temporarily move load away from the affected host.",
    ],
)
def test_honest_advice_stands(sentence: str) -> None:
    assert advice_stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "web-1 is the cause.",
        "The cause is web-1: cpu_usage rose to 90.4 % [E1].",
        "The most likely cause is the CPU of web-1, not db.",
        "web-1 ran out of CPU, which slowed down db [E1] [E2].",
        "web-1 is the root cause, although nothing was deployed there.",
        "High cpu_usage on host web-1 caused it [E1].",
    ],
)
def test_honest_cause_stands(sentence: str) -> None:
    assert cause_stands(sentence)


@pytest.mark.parametrize(
    "amount",
    [
        "90.4 millions", "90.4 gigabytes", "90.4 \u2030", "90.4 \u00d7", "90.4\u00d7",
        "90.4 [E1] million", "90.4 (million)", "90.4  millions", "90.4\nmillions",
        "90.4\u00a0millions", "90.4-million", "90.4 %%", "90.4 % per second",
        "90.4 percentage points", "90.4 % more", "90.4 % of thousands", "90.4 dollars", "90.4 $",
        "$90.4", "\u20ac 90.4", "~90.4 %", "\u224890.4 %", "90.4/s", "90.4 kilo", "90.4 000",
        "90.4 E9", "90.4\u00b2", "90.4 x", "90.4 times", "90.4 quadrillion", "90.4 mega",
        "90.4 squared", "90.4 furlongs", "90.4 alerts", "90.4 s", "90.4 \u00b0C",
        "90.4 % squared", "1/90.4 %", "90.4 * 2", "90.4 \u043c\u0441", "90.4 % \u00b1",
        "90.4\u2030", "90.4 points", "90.4 K", "90.4 % (in MB)", "90.4 %, in thousands",
        "90.4 %-ile", "a 90.4-fold level", "90.4 % o", "90.4, millions", "90.4 \u2014 million",
        "90.4_000", "& 90.4 %", "~ 90.4 %", "50%90.4",
    ],
)  # fmt: skip
def test_other_unit_or_multiplier_is_struck(amount: str) -> None:
    assert not stands(f"cpu_usage of web-1 rose to {amount}.")
    assert not stands(f"cpu_usage of web-1 rose to {amount} [E1].")


@pytest.mark.parametrize(
    "sign",
    [
        "-", "- ", "\u2013", "\u2013 ", "\u2014", "\u2014 ", "\u2212", "\u2212 ",
        "\uff0d", "\u2010", "\u2011", "minus ", "Minus ", "negative ", "negative: ", "+-",
        "\u00b1", "minus -", "\ufe63",
    ],
)  # fmt: skip
def test_other_sign_is_struck(sign: str) -> None:
    assert not stands(f"cpu_usage of web-1 rose to {sign}90.4 % [E1].")
    assert sign[0].isalpha() or not stands(f"cpu_usage of web-1 was{sign}90.4 % [E1].")


@pytest.mark.parametrize(
    "sentence",
    [
        "web-1 rose by 90.4 %.", "cpu_usage rose 70.1 times [E1].",
        "It is slow by a factor of 70.1.",
        "cpu_usage rose 70.1x higher [E1].", "cpu_usage did not reach 90.4 %.",
        "It never was at 20 %.",
        "cpu_usage followed the alert by 120 s.", "cpu_usage rose to 90.4 %, not 20 %.",
    ],
)  # fmt: skip
def test_true_figure_that_is_told_as_what_it_is_not_is_struck(sentence: str) -> None:
    assert not stands(sentence)


def test_true_sign_stands_and_a_missing_one_is_struck() -> None:
    assert stands("wait_seconds of db was at \u22123.5 s at first [E2].")
    assert stands("wait_seconds of db was negative 3.5 s at first [E2].")
    assert not stands("wait_seconds of db was at 3.5 s at first [E2].")


@pytest.mark.parametrize(
    "words",
    [
        "rose tenfold", "rose ten-fold", "rose by a trillion", "is doubling", "doubled",
        "doubles", "is halving", "halved", "fell to a tenth", "fell by a third",
        "rose by two thirds", "is twice as high", "rose dozens of times",
        "sent hundreds of errors", "lost thousands", "rose by fifteen", "rose many-fold",
        "rose by an order of magnitude", "lost a quarter", "tripled", "sent zillions",
        "lost half of it", "rose a hundredfold", "lost nine tenths", "saw scores of millions",
    ],
)  # fmt: skip
def test_number_in_words_is_struck(words: str) -> None:
    assert not stands(f"web-1 {words}.")


@pytest.mark.parametrize(
    "when",
    [
        "yesterday noon", "at midnight", "on Monday", "last week", "an hour ago", "in January",
        "in May", "since March", "this morning", "for days", "minutes before", "a second later",
        "hours ago", "at 3 o'clock", "at 22:15", "at 22:13:21", "at 22:11 CET", "at 22:11 PM",
        "on 2023-11-15", "at 2023-11-15 22:13:20", "within seconds", "over the weekend", "today",
        "at 25:00", "every minute", "on monday", "in dec", "at 22:13:20.5", "at 122:13",
        "on 2023-11-14-2", "at 2023-11-14T22:13:20+02",
    ],
)  # fmt: skip
def test_time_that_is_not_in_the_evidence_is_struck(when: str) -> None:
    assert not stands(f"web-1 was slow {when}.")


@pytest.mark.parametrize(
    "when",
    [
        "at 22:13", "at 22:13:20 UTC", "on 2023-11-14", "at 2023-11-14T22:13:20Z",
        "from 22:11 on", "at 2023-11-14 22:11", "since 22:11:20",
    ],
)  # fmt: skip
def test_time_of_the_evidence_may_be_told_in_part(when: str) -> None:
    assert stands(f"web-1 was slow {when}.")


@pytest.mark.parametrize(
    ("sentence", "true"),
    [
        ("cpu_usage rose 120 s {before} the alert.", True),
        ("web-1 moved 120 s {before} the critical alert.", True),
        ("cpu_usage rose 120 seconds {before} alert HighCPU.", True),
        ("It moved 120 s {before} it was raised [E1].", True),
        ("cpu_usage rose 120 s {earlier}.", True),
        ("The alert fired 120 s {before} cpu_usage rose.", False),
        ("HighCPU came 120 s {before} web-1 moved.", False),
        ("The alert came 120 s {earlier}, on web-1.", False),
        ("wait_seconds rose 45 s {before} the alert [E2].", False),
        ("db waited, 45 s {before} the event.", False),
        ("The alert came 45 s {before} wait_seconds rose.", True),
    ],
)
def test_side_of_the_event_is_checked(sentence: str, true: bool) -> None:
    assert stands(sentence.format(before="before", earlier="earlier")) is true
    assert stands(sentence.format(before="after", earlier="later")) is not true


def test_offset_between_two_things_that_are_not_the_event_is_struck() -> None:
    assert not stands("cpu_usage rose 120 s before db.")
    assert not stands("cpu_usage rose 120 s after db was deployed.")


@pytest.mark.parametrize(
    "name",
    [
        "web-1-db", "web-1.com", "web-1/admin", "web-1@evil", "web-1:80", "web-1_x", "my-web-1",
        "x.web-1", "a/web-1", "web-1+2", "web-1=x", "web-1&lt", "root@web-1", "web-1\u2010db",
        "web-1\u2011db", "web-1.db", "db-2", "cart-svc-2", "payments-db", "auth-service",
        "cpu_usage:sum", "web-1\u0301", "web-1~1", "web-1 -db", "web-1- db", "web-1 .com",
        "(web-1)-db",
        "\u201cweb-1\u201d-db", "[web-1]db", "web-1 /admin",
    ],
)  # fmt: skip
def test_name_that_is_more_than_a_known_one_is_struck(name: str) -> None:
    assert not stands(f"cpu_usage of {name} rose [E1].")
    assert not stands(f"{name} is busy [E1].")
    assert not cause_stands(f"{name} is the cause [E1].")
    assert not advice_stands(f"Restart {name}.")


@pytest.mark.parametrize(
    "sentence",
    [
        "Payments crashed on web-1.", "Checkout is slow because of web-1.",
        "Auth-svc waits for web-1.", "Zephyr took web-1 down.", "web-1 is slow: Zephyr is down.",
        "web-1 Zephyr is slow.", "w\u0435b-1 is slow [E1].", "web-1 \u7e41\u5fd9 [E1].",
        "web-1 \u0437\u0430\u043d\u044f\u0442 [E1].", "web-1 is na\u00efve [E1].",
        "\u212aube and web-1 are slow.", "web-1 \U0001f525 [E1].", "web-1 is \u017flow.",
        "payments is slow on web-1.",
    ],
)  # fmt: skip
def test_foreign_name_or_script_is_struck(sentence: str) -> None:
    assert not stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "web-1 is not the cause.", "web-1 isn't the cause.", "web-1 is innocent.",
        "web-1, which is not the cause.", "It was caused by web-10.",
        "The cause is db, not web-1.", "db is the cause, web-1 only suffers.",
        "web-1 is slow because of db.", "web-1 is unlikely to be the cause.",
        "Neither web-1 nor db did it.", "web-1 suffers, but db is the most likely cause.",
        "web-1 never was the problem.", "The cause is db rather than web-1.",
        "web-1 is hardly the culprit.", "web-1 isn\u2019t to blame.",
        "It is db. web-1 suffers.", "db made web-1 slow.", "web-1 is a victim of db.",
        "web-1? No, db is.",
        "web-1 slowed because db failed first.", "Everything points away from web-1.",
    ],
)  # fmt: skip
def test_cause_that_denies_the_first_suspect_is_struck(sentence: str) -> None:
    assert not cause_stands(sentence)


@pytest.mark.parametrize(
    "markup",
    [
        "@channel", "@here", "**web-1**", "# web-1", "`web-1`", "&lt;b&gt;", "&lt",
        "[web-1](//evil)", "//evil", "www.evil.com", "javascript:alert", "javascript: web-1",
        "<script>", "evil.com", "*web-1*", "_web-1_", "web-1 ~~down~~", "evil\u3002com",
        "[web-1]: evil", "http:evil",
    ],
)  # fmt: skip
def test_markup_and_mentions_are_struck(markup: str) -> None:
    assert not stands(f"web-1 is slow {markup} [E1].")
    assert not advice_stands(f"Restart {markup} now.")


def test_cause_that_names_the_first_suspect_only_where_it_is_cut_is_struck() -> None:
    assert not cause_stands(f"{'It is cpu_usage [E1]. ' * 30}web-1 is the cause.")
    assert not cause_stands("firstsuspect is the cause [E1].")


def test_first_suspect_is_found_in_any_case() -> None:
    assert cause_stands("WEB-1 is the cause.")


def test_template_stands_by_itself() -> None:
    found = incident()
    assert check(worded(found), found, grounded=False).struck == ()
    assert check(worded(found), found, grounded=True).text.root_cause == worded(found).root_cause
