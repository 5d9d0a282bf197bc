"""How many examples a property is tried with: few in `make test`, many in `make test-long`."""

import os

from hypothesis import HealthCheck, settings

_LONG = 20
_SHORT = 3
_LEAST = 10


def examples(count: int, *suppressed: HealthCheck) -> settings:
    """Settings of a property of `count` examples.

    The long form tries twenty times as many, `make test` a third, but ten at least. Examples are
    never timed, and may share the fixtures of their test.

    Args:
        count: What shows a fault in most runs.
        suppressed: Further checks of hypothesis that the examples do not pass.
    """
    few = min(count, max(_LEAST, count // _SHORT))
    return settings(
        max_examples=count * _LONG if "SENSUS_LONG_TESTS" in os.environ else few,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            *suppressed,
        ],
    )
