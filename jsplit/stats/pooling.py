"""Estimates of several lots of replicas as one.

Here: `pooled`. Not here: estimates of a lot (`student`); curves (`moments`).
"""

import numpy as np

from jsplit.stats.base import ROUNDING
from jsplit.stats.student import Estimate


def pooled(
    first: Estimate, number: np.ndarray, second: Estimate, more: np.ndarray
) -> Estimate:
    """Returns the estimate of all replicas from those of two lots.

    Holds for independent replicas ("shuffle" and "fixed" streams), whose error s /
    sqrt(R) and skewness g / sqrt(R) give their central moments back. It is the estimate
    of all at once, up to rounding.

    Args:
        first: [..] of a lot.
        number: [..] its replicas, >= 0; where 0 its estimate does not count.
        second: [..] of another lot.
        more: [..] its replicas, >= 1.
    """
    total = number + more
    share = more / total
    none = number == 0
    gap = np.where(none, 0.0, second.mean - np.where(none, 0.0, first.mean))
    scale = np.maximum(np.abs(first.mean), np.abs(second.mean))
    both_constant = (first.error == 0) & (second.error == 0)
    gap = np.where(both_constant & (np.abs(gap) <= ROUNDING * scale), 0.0, gap)
    squares = [
        np.where(count == 0, 0.0, one.error**2 * count * (count - 1))
        for one, count in ((first, number), (second, more))
    ]
    away = gap**2 * number * share
    inside = sum(squares) + away
    thirds = [
        np.where(count == 0, 0.0, one.skewness * square**1.5)
        for one, count, square in (
            (first, number, squares[0]),
            (second, more, squares[1]),
        )
    ]
    third = sum(thirds) + away * gap * (number - more) / total
    third = third + 3 * gap * (number * squares[1] - more * squares[0]) / total
    mean = np.where(none, second.mean, first.mean + gap * share)
    error = np.sqrt(inside / np.maximum(total * (total - 1), 1))
    error = np.where(total < 2, np.nan, error)
    skewness = third / np.where(inside > 0, inside, 1.0) ** 1.5
    freedom = np.maximum(total - 1.0, 1.0) + np.zeros(mean.shape)
    known = (none | np.isinf(first.freedom)) & np.isinf(second.freedom)
    return Estimate(mean, error, np.where(known, np.inf, freedom), skewness)
