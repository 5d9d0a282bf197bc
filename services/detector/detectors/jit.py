"""The compiler of the row kernels: numba where it is installed, plain Python where not.

Without numba every kernel runs as the ordinary Python function it is written as: the same scores,
some hundred times slower. The machine code is kept on disk and belongs to one state of all sources
of this package, because a kernel is compiled together with the kernels it calls.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from mesh.blas import without_blas

F = TypeVar("F", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment]
else:
    without_blas()

COMPILED = numba is not None


def kernel(function: F) -> F:
    """Compiles `function` once; keeps the machine code where there is a place for it on disk."""
    if numba is None:
        return function
    try:
        compiled: Any = numba.njit(cache=True, error_model="numpy")(function)
        file = compiled._cache._cache_file
        file._source_stamp, file._load_index = _STAMP, _readable(file._load_index)
    except RuntimeError:  # neither this directory nor the user's own cache can be written to
        compiled = numba.njit(error_model="numpy")(function)
    compiled.get_call_template = _without_constants(compiled.get_call_template)
    return cast(F, compiled)


def _readable(load: Callable[[], Any]) -> Callable[[], Any]:
    """Of an index on disk that names types which are gone since, or is damaged, nothing is known.

    By itself numba looks at the state of the sources only after it has read all types.
    """

    def index() -> Any:
        try:
            return load()
        except Exception:  # unpickling raises almost anything
            return {}

    return index


def _ones() -> Callable[[Any], int]:
    """How many bits of an unsigned integer are 1: one instruction, where it is compiled."""
    if numba is None:
        return lambda word: int(word).bit_count()
    from numba.extending import intrinsic

    @intrinsic
    def ones(_: Any, word: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.ctpop(arguments[0])

        return word(word), generate

    return cast(Callable[[Any], int], ones)


ones = _ones()


def _without_constants(template: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a kernel that is called with a constant be the one that is called with a variable.

    By itself numba compiles a kernel again for each constant that another one hands to it: most of
    the time that a first start took.
    """

    def of_types(arguments: Any, keywords: Any) -> Any:
        unliteral: Callable[[Any], Any] = numba.types.unliteral
        plain = tuple(unliteral(each) for each in arguments)
        return template(plain, {name: unliteral(each) for name, each in keywords.items()})

    return of_types


def _stamp() -> tuple[tuple[str, int, int], ...]:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files)


_STAMP = _stamp()
