"""What models write of the evidence in good faith stands, and what is nearly that is struck."""

import dataclasses

import pytest

from services.explainer.checks.check import check
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.explanation import NamedSuspect, Text
from services.explainer.model.ranking import Reason, Suspect
from services.explainer.wording.facts import Facts
from tests.explainer.test_checks import facts

HOST = "db1.prod.example.com:9100"


def series(evidence_id: str, baseline: Figure, observed: Figure, **labels: str) -> Evidence:
    """A series that left its usual range two minutes before the alert."""
    metric = labels.pop("metric")
    (piece,) = facts().evidence
    return dataclasses.replace(
        piece,
        evidence_id=evidence_id,
        kind=EvidenceKind.MOVED_SERIES,
        title=f"{metric} of {labels.get('service', '')} left its usual range",
        labels={"__name__": metric, **labels},
        figures=(
            dataclasses.replace(baseline, name="baseline"),
            dataclasses.replace(observed, name="observed"),
            Figure(name="size_sigma", value=98.5, unit="1"),
            Figure(name="change_before_event", value=120.0, unit="s"),
        ),
    )


def shop() -> Facts:
    """`cart` fills its memory after a deploy, logs errors and calls `redis-cart`; `web` fell."""
    alone = facts(entity="cart")
    size = {"unit": "By", "name": ""}
    memory = series(
        "E1",
        Figure(value=513 * 1024.0**2, **size),
        Figure(value=1.98 * 1024.0**3, **size),
        metric="memory_bytes",
        service="cart",
        instance=HOST,
    )
    logs = series(
        "E2",
        Figure(name="", value=0.4),
        Figure(name="", value=18.7),
        metric="log_errors",
        service="cart",
        pattern="Connection refused to redis-cart:6379 by java.net.ConnectException",
    )
    disk = series(
        "E3",
        Figure(name="", value=61.0),
        Figure(name="", value=97.0),
        metric="system.disk.used/percent",
        service="redis-cart",
        device="/dev/sda1",
    )
    up = series(
        "E4", Figure(name="", value=1.0), Figure(name="", value=0.0), metric="up", service="web"
    )
    deploy = Evidence(
        evidence_id="E5",
        kind=EvidenceKind.CHANGE,
        source="explainer",
        title="deploy cart[@]4f2c9e1 in cart: raise pool size to 200",
        start_ms=1_699_999_580_000,
        end_ms=1_699_999_580_000,
        labels={"service": "cart"},
        figures=(Figure(name="change_before_event", value=420.0, unit="s"),),
        reference_id="cart@4f2c9e1",
    )
    calls = dataclasses.replace(
        deploy,
        evidence_id="E6",
        kind=EvidenceKind.TOPOLOGY,
        title="cart calls redis-cart, web calls cart",
        labels={},
        figures=(),
        reference_id="",
    )
    others = tuple(
        NamedSuspect(
            suspect=Suspect(
                entity=entity,
                rank=rank,
                score=1.0,
                confidence=0.1,
                reasons=(Reason(text="moved", evidence_id=cited, score=1.0),),
            ),
            labels={"service": entity},
        )
        for rank, (entity, cited) in enumerate([("redis-cart", "E3"), ("web", "E4")], start=2)
    )
    return dataclasses.replace(
        alone,
        suspects=(*alone.suspects, *others),
        evidence=(memory, logs, disk, up, deploy, calls),
    )


def stands(sentence: str) -> bool:
    """Whether a sentence of a model's summary stands as it is."""
    text = Text(root_cause="cart is the cause.", mitigation="", summary=sentence)
    return not check(text, shop(), grounded=True).struck


def cause_stands(sentence: str) -> bool:
    """Whether a sentence stands as the cause."""
    text = Text(root_cause=sentence, mitigation="", summary="")
    return bool(check(text, shop(), grounded=True).text.root_cause)


def advice_stands(sentence: str) -> bool:
    """Whether a sentence stands as advice."""
    text = Text(root_cause="", mitigation=sentence, summary="")
    return bool(check(text, shop(), grounded=True).text.mitigation)


@pytest.mark.parametrize(
    "name",
    [
        HOST, "db1.prod.example.com", "db1", "db1[.]prod[.]example[.]com:9100",
        "deploy cart@4f2c9e1", "deploy cart[@]4f2c9e1", "cart/redis-cart",
    ],
)  # fmt: skip
def test_name_stands_as_it_was_sent_as_it_is_shown_and_without_its_port(name: str) -> None:
    assert stands(f"Memory of {name} is short.")
    assert advice_stands(f"Look at {name}.")


@pytest.mark.parametrize(
    "name", ["db2.prod.example.com", "db1.prod", "prod.example.com", "db1.evil", "cart/admin"]
)
def test_name_that_is_nearly_one_is_struck(name: str) -> None:
    assert not stands(f"Memory of {name} is short.")


def test_output_keeps_addresses_harmless() -> None:
    text = Text(root_cause="cart is the cause.", mitigation="", summary="See cart@4f2c9e1 [E5].")
    assert check(text, shop(), grounded=True).text.summary == "See cart[@]4f2c9e1 [E5]."


@pytest.mark.parametrize(
    "sentence",
    [
        "Memory of cart rose from 513 MiB to 1.98 GiB [E1].",
        "log_errors rose from 0.4 to 18.7 120 s before the alert [E2].",
        "up of web fell from 1 to 0 120 s before the alert [E4].",
        "The deploy preceded the alert by 420 s [E5].",
        "cart was deployed before the alert by 420 s [E5].",
        "system.disk.used/percent of redis-cart reached 97 percent [E3].",
    ],
)
def test_figure_stands_in_any_order_and_unit(sentence: str) -> None:
    assert stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Memory of cart fell from 513 MiB to 1.98 GiB [E1].",
        "Memory of cart fell from 1.98 GiB to 513 MiB [E1].",
        "Memory of cart rose from 513 GiB to 1.98 MiB [E1].",
        "log_errors rose from 0.4 to 18.7 000 [E2].",
        "The deploy followed the alert by 420 s [E5].",
        "The alert preceded the deploy by 420 s [E5].",
        "The deploy preceded the memory by 420 s [E5].",
        "Memory rose by 420 s [E5].",
    ],
)
def test_figure_the_other_way_round_is_struck(sentence: str) -> None:
    assert not stands(sentence)


@pytest.mark.parametrize(
    "said",
    [
        "The cart service experienced errors",
        "The cart service keeps failing",
        "The impacted service is cart",
        "The offending service is cart",
        "cart-related errors are in the logs",
        "There are node-level problems near cart",
        "The start-up of cart is slow",
        "I/O wait of cart is high",
    ],
)
def test_words_beside_a_kind_are_no_names_when_it_has_one(said: str) -> None:
    assert stands(f"{said} [E1].")


@pytest.mark.parametrize(
    "said", ["The zephyr service", "The service zephyr of cart", "Cart waits for service zephyr"]
)
def test_foreign_name_beside_a_kind_is_struck(said: str) -> None:
    assert not stands(f"{said} is slow [E1].")


@pytest.mark.parametrize(
    "quote",
    [
        '"Connection refused to redis-cart:6379"',
        '"connection refused"',
        "\u201cConnection refused\u201d",
        "java.net.ConnectException",
        "ConnectException",
    ],
)
def test_evidence_may_be_quoted(quote: str) -> None:
    assert stands(f"The logs of cart show {quote} [E2].")


@pytest.mark.parametrize("quote", ['"Disk 9 failed"', '"Zephyr refused"', '"18"'])
def test_quote_of_something_else_is_struck(quote: str) -> None:
    assert not stands(f"The logs of cart show {quote} [E2].")


@pytest.mark.parametrize(
    "sentence",
    [
        "Because web calls cart, it failed [E6].",
        "cart failed because of redis-cart [E6].",
        "cart fails, because redis-cart refused its connections [E2].",
    ],
)
def test_summary_may_tell_how_others_take_part(sentence: str) -> None:
    assert stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "cart is the cause, without any change in traffic.",
        "cart is slow because of its memory, and not because of load.",
        "cart is failing because it cannot reach redis-cart:6379 [E2].",
    ],
)
def test_cause_may_deny_something_else(sentence: str) -> None:
    assert cause_stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "cart is without doubt not the cause.",
        "The problem is not because of cart.",
        "It is without fault of cart.",
    ],
)
def test_cause_may_not_deny_itself(sentence: str) -> None:
    assert not cause_stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Restore connectivity to redis-cart.",
        "Flush the cache of cart.",
        "Rotate logs on db1.",
        "Rotate old logs.",
        "Validate recent changes.",
        "Collect a heap profile of cart.",
        "Fail over to another host.",
        "Double-check the deploy of cart.",
        "Check the connectivity between cart and redis-cart on port 6379.",
    ],
)
def test_advice_may_begin_with_any_verb(sentence: str) -> None:
    assert advice_stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Zephyr is slow.", "Zephyr often crashes.", "Zephyr-x needs a restart.", "ZephyrDb down.",
        "Zephyr2 needs it.", "Zephyr and cart wait.", "Check port 6380 of cart.",
    ],
)  # fmt: skip
def test_advice_about_something_that_is_not_there_is_struck(sentence: str) -> None:
    assert not advice_stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "cart is slow, which slowed down web.",
        "The root cause of the failure of web is cart.",
        "web fell because cart filled its memory [E1] [E4].",
        "web failed as a result of cart.",
        "The root cause of the web errors is cart.",
        "cart is the cause. It slowed down web.",
    ],
)
def test_cause_may_name_others_that_suffer(sentence: str) -> None:
    assert cause_stands(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "web hammered cart until it failed.",
        "web started it all and cart followed.",
        "Everything began at web; cart came second.",
        "cart is slow as a result of web.",
        "The problem lies in web and it dragged cart down.",
        "cart was overwhelmed by web.",
        "cart failed from redis-cart.",
        "cart is down because of the redis-cart service.",
        "cart suffers from web.",
        "cart only suffers; web is to blame.",
        "cart fails due to web.",
    ],
)
def test_cause_that_blames_another_is_struck(sentence: str) -> None:
    assert not cause_stands(sentence)
