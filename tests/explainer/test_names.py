"""Who a series belongs to, and what it is called."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.explainer.model.names import (
    NAME_CHARS_MAX,
    entities,
    naming_labels,
    plain,
    series_name,
)

DB1 = {"job": "node", "instance": "db1:9100"}
DB2 = {"job": "node", "instance": "db2:9100"}
STATE = {"job": "kube-state-metrics", "instance": "10.0.0.9:8080"}
CART = {**STATE, "namespace": "shop", "pod": "cart-7d9f8b6c5-x2x4z", "container": "cart"}


@pytest.mark.parametrize(
    ("series", "named"),
    [
        ([DB1, DB2], ["db1:9100", "db2:9100"]),
        ([DB1, DB2, {"job": "web"}], ["db1:9100", "db2:9100", "web"]),
        ([DB1, {"job": "web", "instance": "web-1:80"}], ["db1:9100", "web"]),
        (
            [{"job": "web", "instance": f"web-{each}:80"} for each in (1, 2)],
            ["web-1:80", "web-2:80"],
        ),
        ([{"job": "web", "pod": "web-a"}, {"job": "db", "pod": "db-a"}], ["web", "db"]),
        ([CART, {"job": "web"}], ["cart-7d9f8b6c5-x2x4z", "web"]),
        ([{**STATE, "deployment": "cart"}, {"job": "web"}], ["cart", "web"]),
        ([{"job": "kubelet", "node": "n1", "instance": "10.0.0.1:10250"}, DB1], ["n1", "db1:9100"]),
        ([{**DB1, "pod": "node-exporter-x7k2p"}, {"job": "web"}], ["db1:9100", "web"]),
        ([{**CART, "service": "kube-state-metrics"}, DB1], ["cart-7d9f8b6c5-x2x4z", "db1:9100"]),
        ([{**DB1, "service": "orders"}, {**DB2, "service": "users"}], ["orders", "users"]),
        ([{**DB1, "service": "orders"}, {**DB2, "app": "7"}], ["orders", 'app="7"']),
    ],
)
def test_machine_pod_or_service_is_named_and_not_what_tells_of_it(
    series: list[dict[str, str]], named: list[str]
) -> None:
    assert entities(series) == named
    assert all(
        naming_labels(each, entity).items() <= each.items()
        for each, entity in zip(series, named, strict=True)
    )


def test_exporter_that_tells_of_no_place_is_not_named_alone() -> None:
    lag = {"__name__": "lag", "job": "kafka-exporter", "consumergroup": "billing"}
    found = entities([lag, {"__name__": "cpu", "service": "billing"}])
    assert found == ['lag{consumergroup="billing",job="kafka-exporter"}', "billing"]


def test_job_that_is_known_to_be_a_service_stays_one() -> None:
    web = [{"job": "web", "instance": f"web-{each}:80"} for each in (1, 2)]
    assert entities([*web, {"job": "db"}], {"web"}) == ["web", "web", "db"]
    assert entities([*web, {"service": "web"}, {"job": "db"}]) == ["web", "web", "web", "db"]


def test_container_that_is_known_to_be_a_service_is_named_for_its_pods() -> None:
    pods = [{"job": "app", "pod": f"cart-{each}", "container": "cart"} for each in "ab"]
    assert entities([*pods, {"job": "db"}], {"cart"}) == ["cart", "cart", "db"]
    assert entities([CART, {"job": "db"}], {"cart"}) == ["cart", "db"]


POD = {"pod": "cart-7d9f8b6c5-x2x4z"}
LONG = {f"label_{each}": "value of some length" for each in "abcdefgh"}


@pytest.mark.parametrize("metric", ["errors", "http.errors", "m" * 300, "5 %", ""])
def test_name_of_a_series_with_many_labels_keeps_who_it_belongs_to(metric: str) -> None:
    name = series_name({"__name__": metric, **LONG, **POD})
    assert len(name) <= NAME_CHARS_MAX
    assert 'pod="cart-7d9f8b6c5-x2x4z"' in name
    assert name.endswith(",\u2026}")


@pytest.mark.parametrize(
    ("services", "named"),
    [((), ['up{service="cart"}', 'lag{service="cart"}']), (("cart", "db"), ["cart", "cart"])],
    ids=["nobody else is known", "one of several"],
)
def test_series_of_one_of_several_services_are_its_own(
    services: tuple[str, ...], named: list[str]
) -> None:
    series = [{"__name__": name, "service": "cart"} for name in ("up", "lag")]
    assert entities(series, services) == named


def test_long_value_is_cut_and_the_naming_label_is_not() -> None:
    text = (
        "java.lang.OutOfMemoryError: Java heap space at com.acme.billing.Cache.put(Cache.java:88)"
    )
    named = {"__name__": "log_errors", "pattern": text, "service_name": "com.acme.billing"}
    assert series_name(named) == (
        'log_errors{pattern="java.lang.OutOfMemoryError: Java heap s\u2026",'
        'service_name="com.acme.billing"}'
    )


@given(labels=st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=8))
@example(labels={"pod": '"\\' * 100})
@example(labels={"a": "http://x.test/y @here " * 9, "job": "b" * 400})
def test_name_of_any_series_is_short_closed_and_plain(labels: dict[str, str]) -> None:
    name = series_name({"__name__": "up", **labels})
    assert len(name) <= NAME_CHARS_MAX
    assert name == "up" or name.endswith("}")
    assert plain(name) == name
