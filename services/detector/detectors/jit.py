"""The compiler of the row kernels: numba where it is installed, plain Python where not.

Without numba every kernel runs as the ordinary Python function it is written as: the same scores,
some hundred times slower. The machine code is kept on disk and belongs to one state of all sources
of this package, because a kernel is compiled together with the kernels it calls.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment]

COMPILED = numba is not None


def kernel(function: F) -> F:
    """Compiles `function` once and keeps the machine code on disk."""
    if numba is None:
        return function
    compiled: Any = numba.njit(cache=True, error_model="numpy")(function)
    compiled._cache._cache_file._source_stamp = _STAMP
    return cast(F, compiled)


def _stamp() -> tuple[tuple[str, int, int], ...]:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files)


_STAMP = _stamp()
