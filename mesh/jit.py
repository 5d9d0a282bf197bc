"""How the loops over columns are compiled. Importing this loads numba: do so away from the loop."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar, cast

import numba
from numba import types

from mesh.blas import without_blas

without_blas()

F = TypeVar("F", bound=Callable[..., Any])

INT64: Final = types.int64
UINT64: Final = types.uint64
UINT8S: Final = types.uint8[::1]
UINT16S: Final = types.uint16[::1]
BYTES: Final = types.Array(types.uint8, 1, "C", readonly=True)
INT64S: Final = types.int64[::1]
INT32S: Final = types.int32[::1]
UINT64S: Final = types.uint64[::1]
FLOAT64S: Final = types.float64[::1]
UINT8_ROWS: Final = types.uint8[:, ::1]
INT32_ROWS: Final = types.int32[:, ::1]
INT64_ROWS: Final = types.int64[:, ::1]
UINT64_ROWS: Final = types.uint64[:, ::1]
FLOAT64_ROWS: Final = types.float64[:, ::1]
BOOLS: Final = types.boolean[::1]
VERDICT: Final = types.UniTuple(types.int64, 2)  # type: ignore[no-untyped-call]
COUNTS: Final = types.UniTuple(types.int64, 4)  # type: ignore[no-untyped-call]
NOTHING: Final = types.void

_UNCOUNTED: Final[dict[str, Any]] = {"_nrt": False}
"""References to arrays are not counted: each count is an atomic operation, and in the readers of
bodies they took half of the time.
"""

loop_part: Final[Any] = numba.njit(inline="never", **_UNCOUNTED)
"""For functions that kernels call; each array that one takes costs as much as to read a field."""
inlined: Final[Any] = numba.njit(inline="always", **_UNCOUNTED)
"""For functions that become part of what calls them."""


def kernel(returns: Any, *takes: Any, makes_arrays: bool = False) -> Callable[[F], F]:
    """Compiles for one signature, to run beside the interpreter's lock.

    The machine code is kept on disk where there is a place for it. Only who makes arrays has
    references to arrays counted.
    """
    options: dict[str, Any] = {} if makes_arrays else _UNCOUNTED

    def compiled(function: F) -> F:
        make = partial(numba.njit, returns(*takes), nogil=True, error_model="numpy", **options)
        try:
            return cast(F, make(cache=True)(function))
        except RuntimeError:  # neither this directory nor the user's own cache can be written to
            return cast(F, make()(function))

    return compiled
