"""Ids of 64 bits as PostgreSQL has them: the signed number of the same bits."""

from typing import Final

_SIGN: Final = 1 << 63
_ALL: Final = 1 << 64


def signed(number: int) -> int:
    """For a column.

    Examples:
        >>> signed(3), signed(2**64 - 1)
        (3, -1)
    """
    return number - _ALL if number >= _SIGN else number


def unsigned(number: int) -> int:
    """From a column."""
    return number % _ALL
