"""Two policies on the same streams, compared replica by replica.

Here: the paired difference, its p value, and what pairing gains. Not here: families of
comparisons (`multiplicity`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jsplit.stats.base import (
    ROUNDING,
    SampleRange,
    Streams,
    finite_pair,
    is_constant,
    open_unit,
)
from jsplit.stats.limits import interval_of, p_value_of
from jsplit.stats.student import estimate


class Paired(NamedTuple):
    """A paired comparison; every field is [..] (a float for one row)."""

    mean: np.ndarray  # [..] float64, mean of values - baseline
    low: np.ndarray  # [..] float64; NaN = unknown
    high: np.ndarray  # [..] float64; NaN = unknown
    correlation: np.ndarray  # [..] float64, -1..1; NaN = one of the two is constant
    p_value: np.ndarray  # [..] float64, 0..1, two-sided, not adjusted


def paired_difference(
    values: ArrayLike,
    baseline: ArrayLike,
    *,
    level: float = 0.95,
    streams: Streams = Streams(),
    exact: ArrayLike = False,
    possible: SampleRange | None = None,
) -> Paired:
    """Compares two policies replica by replica, on the same streams.

    Estimated: the expected difference of one replica. The two values of a replica
    always belong together. The correlation shows the gain of pairing:
    the variance of the difference is Va + Vb - 2 correlation sqrt(Va Vb). A correlation
    of 0 means that common streams bought nothing.

    The interval is that of `mean_interval`, and the p value is the smallest 1 - level
    at which it leaves out 0. It is never 0: for "shuffle" and "fixed" streams not below
    2^(1 - R), what R differences of one sign are worth, and not below the chance that R
    replicas have not shown a rare outcome (`stats.skewed`). It is 1 where all
    differences are zero.

    Args:
        values: [.., R] finite numbers, one per replica.
        baseline: [.., R] the baseline's numbers in the same replicas.
        level: probability that the interval covers what it estimates, in (0, 1).
        streams: what the replicas of both ran over.
        exact: [..] bool, True = differences that agree are known to agree always.
        possible: as in `mean_interval`, of the difference of one sample.

    Returns:
        Paired of [..] arrays, in the unit of the values.

    Raises:
        JsplitError: if shapes differ, values are empty or not finite, or an argument is
            out of range.

    Example:
        >>> found = paired_difference([1.0, 2.0, 4.0], [0.0, 2.0, 3.0])
        >>> round(float(found.mean), 3), round(float(found.correlation), 3)
        (0.667, 0.929)
    """
    ours, theirs = finite_pair(values, baseline)
    open_unit("level", level)
    differences, constant = differences_of(ours, theirs)
    found = estimate(differences, constant, streams, exact)
    interval = interval_of(found, level, streams, possible)
    p_value = p_value_of(found, streams, possible)
    return Paired(*interval, _correlation(ours, theirs), p_value)


def differences_of(
    ours: np.ndarray, theirs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns ours - theirs, [.., R] each, and where all replicas agree in it, [..].

    One plan billed along two routes differs in the last bits. That is no evidence, so
    differences that are rounding errors of their values count as none.
    """
    scale = np.maximum(np.abs(ours), np.abs(theirs)).max(-1)
    differences = ours - theirs
    is_rounding = np.abs(differences) <= ROUNDING * scale[..., np.newaxis]
    differences = np.where(is_rounding, 0.0, differences)
    return differences, is_constant(differences, scale)


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Returns the [..] Pearson correlation over replicas, NaN where undefined."""
    pair = np.stack([ours, theirs])
    constant = is_constant(pair, np.abs(pair).max(-1)).any(0)
    centred = pair - pair.mean(-1, keepdims=True)
    norm = np.sqrt((centred**2).sum(-1)).prod(0)
    ratio = centred.prod(0).sum(-1) / np.where(constant, 1.0, norm)
    return np.where(constant, np.nan, ratio.clip(-1, 1))[()]
