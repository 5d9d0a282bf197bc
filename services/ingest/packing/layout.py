"""How a chunk is packed.

It is a byte FORMAT, the number of its samples (varint), and for each ROWS samples two blocks:
their times, their values. A block is

    scale     byte: 0 to 22, its integers are values times 10 to this power; 64 to 127, they are the
              bits of the values (binary64), shifted right by scale minus 64
              plus 128 when the integers are differences, each from the one before
    width     byte: bits per integer, 0 to 56, or 64
    first     zigzag varint: the least integer, or when there are differences the first integer
    least     zigzag varint, only of differences: the least one
    integers  what each exceeds the least by, in `width` bits, the highest bit first, filled up to a
              whole byte; of differences one less than there are rows

Of the scales and of both ways the one that takes the fewest bits is taken. Integers are signed and
have 64 bits; of a block that needs more than 56 bits each is stored whole, and `first` is 0.
"""

from typing import Final

import numpy as np

FORMAT: Final = 1
ROWS: Final = 64
MOST_BYTES: Final = 2 * (2 + 10 + 10 + 8 * ROWS)
"""That two blocks can take."""

BITS: Final = 64
DIFFERENCES: Final = 128
DIGITS: Final = 15
"""Decimal places that are tried."""

POWERS: Final = np.array([10.0**power for power in range(23)])
