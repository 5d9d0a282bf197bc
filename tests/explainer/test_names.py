"""Who a series belongs to, and what it is called."""

import pytest

from services.explainer.model.names import entities, naming_labels

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
