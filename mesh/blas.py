"""What numba looks for at its first use, and no kernel needs.

Beside `mesh.jit`, which cannot be loaded without numba: the loops of the detector run without it.
"""

import sys


def without_blas() -> None:
    """Lets numba find no BLAS, for no kernel multiplies matrices.

    To find one it loads all of `scipy.linalg`: a fifth of a second and 15 MB of every process with
    kernels. Of no effect where that is loaded already.
    """
    linear_algebra = "scipy.linalg"
    if linear_algebra in sys.modules:
        return
    sys.modules[linear_algebra] = None  # type: ignore[assignment]
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules[linear_algebra]
