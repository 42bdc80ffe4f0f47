"""Numbers kept as two words, high + low, so that float32 forgets nothing that counts.

Here: sums and means. XLA keeps the order of sums; a product it may fuse with the sum
around it, which then rounds once less. Not here: what is summed (`engine.reduce`,
`policies.running`).
"""

from typing import NamedTuple

from jax import Array


class Pair(NamedTuple):
    """A number as high + low, low less than the rounding error of high."""

    high: Array  # [...] float
    low: Array  # [...] float


def two_sum(one: Array, other: Array) -> Pair:
    """Returns one + other exactly, for numbers of any size (Knuth's two-sum)."""
    high = one + other
    part = high - one
    return Pair(high, (one - (high - part)) + (other - part))


def add(pair: Pair, value: Array) -> Pair:
    """Returns pair + value, its error of the order of the last bit of `low`."""
    return two_sum(pair.high, value + pair.low)


def mean_with(mean: Pair, value: Array, number: Array) -> Pair:
    """Returns the mean of `number` values, from that of all but the last, `value`.

    A step below half the last bit of `high` is not lost: such steps gather in `low`,
    which is part of the next step. The division comes last, so that XLA computes it
    once for both words.
    """
    step = ((value - mean.high) + mean.low * (number - 1)) / number
    high = mean.high + step
    # Exact where high is the larger; elsewhere wrong by no more than step already is.
    return Pair(high, step - (high - mean.high))
