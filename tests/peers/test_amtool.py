"""Routing means what Alertmanager means: ours beside Debian's `amtool config routes test`."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.notifier.routing.document import read
from tests.notifier import amtool, drawn

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(amtool.PROGRAM is None, reason="amtool is not installed"),
]

SETS = 25
TREES = 400


@settings(
    max_examples=TREES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.integers(0, 2**48))
def test_receivers_equal_those_of_amtool(seed: int) -> None:
    """Ten thousand cases: 400 trees, 25 label sets each."""
    random = Random(seed)
    config = amtool.config(drawn.tree(random))
    routing, _ = read(json.dumps(config))
    sets = [drawn.labels(random) for _ in range(SETS)]
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(4) as pool:
        file = Path(directory) / "alertmanager.yml"
        file.write_text(json.dumps(config))
        theirs = list(pool.map(lambda labels: amtool.receivers(file, labels), sets))
    ours = [[match.route.receiver for match in routing.matches(labels)] for labels in sets]
    assert ours == theirs
