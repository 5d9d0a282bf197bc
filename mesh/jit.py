"""How the loops over columns are compiled. Importing this loads numba: do so away from the loop."""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
from numba import types

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


def kernel(returns: Any, *takes: Any) -> Callable[[F], F]:
    """Compiles for one signature, to run beside the interpreter's lock.

    The machine code is kept on disk where there is a place for it.
    """

    def compiled(function: F) -> F:
        try:
            made = numba.njit(returns(*takes), cache=True, nogil=True, error_model="numpy")
            return cast(F, made(function))
        except RuntimeError:  # neither this directory nor the user's own cache can be written to
            made = numba.njit(returns(*takes), nogil=True, error_model="numpy")
            return cast(F, made(function))

    return compiled
