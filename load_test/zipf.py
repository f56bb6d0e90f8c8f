"""Which keys are asked for, and how large values are."""

import random
import zlib
from bisect import bisect_left
from itertools import accumulate

# Shares of values of 100 B, 1 KiB and 10 KiB: most are small, most bytes are in large ones.
SIZES = ((100, 0.70), (1024, 0.25), (10 * 1024, 0.05))


class Zipf:
    """Ranks from 0, of which the n-th is 1/n^s as frequent as the first; s = 0.9 is the shape measured for web caches."""

    def __init__(self, count: int, exponent: float = 0.9):
        if count < 1:
            raise ValueError("there must be at least one key")
        self._sums = list(accumulate(1 / rank**exponent for rank in range(1, count + 1)))

    def rank(self, chance: float | None = None) -> int:
        """A rank; `chance` in [0, 1) in place of a random number makes it certain."""
        chance = random.random() if chance is None else chance
        return bisect_left(self._sums, chance * self._sums[-1])

    def share(self, first: int) -> float:
        """How many of all requests ask for the first so many ranks."""
        return self._sums[first - 1] / self._sums[-1]


def size_of(key: str) -> int:
    """The size of a key's value: always the same for the same key, so that a write replaces like by like."""
    point = zlib.crc32(key.encode()) / 2**32
    for size, share in SIZES:
        if point < share:
            return size
        point -= share
    return SIZES[-1][0]
