"""The compiler of the row kernels: numba where it is installed, plain Python where not.

Without numba every kernel runs as the ordinary Python function it is written as: the same scores,
some hundred times slower.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    numba = None

COMPILED = numba is not None


def kernel(function: F) -> F:
    """Compiles `function` once and keeps the machine code on disk."""
    if numba is None:
        return function
    return cast(F, numba.njit(cache=True, error_model="numpy")(function))
