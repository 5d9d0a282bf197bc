"""How many examples a property is tried with: few in `make test`, many in `make test-long`."""

import os

from hypothesis import HealthCheck, settings

_LONG = 20


def examples(count: int) -> settings:
    """Settings of a property: `count` examples, twenty times as many in the long form.

    Examples are never timed, and may share the fixtures of their test.
    """
    return settings(
        max_examples=count * (_LONG if "SENSUS_LONG_TESTS" in os.environ else 1),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
