"""Intervals of means and of ratios of means over replicas.

Here: the delta method, rows that do not count. Not here: the limits (`limits`).
"""

import numpy as np
from numpy.typing import ArrayLike

from jsplit.stats.base import (
    Interval,
    SampleRange,
    Streams,
    finite,
    finite_pair,
    is_constant,
    open_unit,
)
from jsplit.stats.limits import interval_of
from jsplit.stats.student import estimate


def mean_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    streams: Streams = Streams(),
    exact: ArrayLike = False,
    possible: SampleRange | None = None,
) -> Interval:
    """Returns the mean over replicas and its interval.

    Estimated: the expected value of one replica. The replicas are the sample:

    - "shuffle" and "fixed" streams: Student t with R - 1 degrees of freedom, or Hall's
      limit for skewed values where that lies farther out (`stats.skewed`). Unknown
      where an outcome with a chance of one in ten may not have been seen: at 95 % for
      fewer than 29 replicas, for 58 or fewer that all agree. More that agree have zero
      width.
    - "bootstrap" streams: limits from the test-set error, which does not shrink with R
      (see `errors.test_set_error`), because there the replicas are themselves the
      resamples. With `possible` they follow the skewness of the test sets, stay in the
      range and allow for what the test set has not shown (`stats.bounded`); without it
      they are Student's.

    A fixed plan on a whole shuffled test set has no simulation error. Who knows this
    says so with `exact`: replicas that agree then have zero width. With R = 1, or a
    single resampled test set, the variance is unknown: low and high are NaN.

    Args:
        values: [.., R] finite numbers, one per replica.
        level: probability that the interval covers what it estimates, in (0, 1).
        streams: what the replicas ran over.
        exact: [..] bool, True = replicas that agree are known to agree always.
        possible: for "bootstrap" streams, what one sample can come to and how many
            there are; None if this is not known.

    Returns:
        Interval of [..] arrays.

    Raises:
        JsplitError: if values are empty or not finite, or an argument is out of range.

    Example:
        >>> mean, low, high = mean_interval([3.0] * 200)
        >>> float(mean), float(low), float(high)
        (3.0, 3.0, 3.0)
    """
    samples = finite("values", values)
    open_unit("level", level)
    constant = is_constant(samples, np.abs(samples).max(-1))
    found = estimate(samples, constant, streams, exact)
    return interval_of(found, level, streams, possible)


def relative_change(
    values: ArrayLike,
    baseline: ArrayLike,
    *,
    level: float = 0.95,
    streams: Streams = Streams(),
    exact: ArrayLike = False,
    possible: tuple[SampleRange, SampleRange] | None = None,
) -> Interval:
    """Returns how far the mean lies above the baseline's mean, in percent.

    Estimated: 100 (E[values] / E[baseline] - 1), a ratio of means, not a mean of
    ratios. The two values of a replica belong together. The limits are those of
    `mean_interval` for the linearised ratio (delta method), also where the ratio is the
    same in all replicas.

    Args:
        values: [.., R] finite numbers, one per replica.
        baseline: [.., R] the baseline's numbers in the same replicas. Its mean
            should be far from 0; where it is 0, the result is NaN.
        level: as in `mean_interval`.
        streams: what the replicas ran over.
        exact: as in `mean_interval`.
        possible: as there, of a sample's value and of the baseline's; the baseline
            must be above 0, the values not below it.

    Returns:
        Interval of [..] arrays, in percent.

    Raises:
        JsplitError: if shapes differ, values are empty or not finite, or an argument is
            out of range.
    """
    ours, theirs = finite_pair(values, baseline)
    open_unit("level", level)
    # Not a difference of two ratios, which would lose the digits they share.
    change, scale = ours - theirs, np.abs(ours).max(-1)
    ratio = None if possible is None else _range_of_change(ours, theirs, *possible)
    interval = _interval_of_ratio(change, theirs, scale, level, streams, exact, ratio)
    return Interval(*(100 * part for part in interval))


def _range_of_change(
    ours: np.ndarray, theirs: np.ndarray, of: SampleRange, of_theirs: SampleRange
) -> SampleRange:
    """Returns what one sample can make of the linearised change."""
    mean = theirs.mean(-1)
    mean = np.where(mean == 0, np.nan, mean)
    ratio = ours.mean(-1) / mean
    low = (np.asarray(of.low) - ratio * of_theirs.high) / mean
    high = (np.asarray(of.high) - ratio * of_theirs.low) / mean
    return of._replace(low=low + ratio - 1, high=high + ratio - 1)


def ratio_interval(
    values: ArrayLike,
    weights: ArrayLike,
    *,
    level: float = 0.95,
    streams: Streams = Streams(),
    exact: ArrayLike = False,
    possible: SampleRange | None = None,
) -> Interval:
    """Returns the mean per unit of weight and its interval.

    Estimated: E[values] / E[weights], a ratio of means, not a mean of ratios. If values
    are sums over steps and weights count the steps, this is the mean per step of
    replicas that have different numbers of steps. The two numbers of a replica belong
    together. The interval is made as in `relative_change`.

    A replica (for "bootstrap" streams, a test set) with a value and a weight of zero
    says nothing about the ratio and does not count. If a single one counts, the
    variance is unknown: low and high are NaN.

    Args:
        values: [.., R] finite numbers, one per replica.
        weights: [.., R] numbers of the same replicas. Their mean should be far from 0;
            where it is 0, the result is NaN.
        level: as in `mean_interval`.
        streams: what the replicas ran over.
        exact: as in `mean_interval`.
        possible: as there, of a sample's value per unit of weight.

    Returns:
        Interval of [..] arrays, in units of values per unit of weights.

    Raises:
        JsplitError: if shapes differ, values are empty or not finite, or an argument is
            out of range.

    Example:
        >>> mean, low, high = ratio_interval([2.0, 4.0] * 60, [1.0, 2.0] * 60)
        >>> float(mean), float(low), float(high)
        (2.0, 2.0, 2.0)
    """
    ours, theirs = finite_pair(values, weights, "weights")
    open_unit("level", level)
    speaks = _speaks(ours, theirs, streams.replicas_per_unit)
    found = np.full((3, *ours.shape[:-1]), np.nan)
    # Rows over the same replicas at once: there are few such sets, often one.
    patterns, which = np.unique(
        speaks.reshape(-1, speaks.shape[-1]), axis=0, return_inverse=True
    )
    which = which.reshape(ours.shape[:-1])
    for number, pattern in enumerate(patterns):
        if pattern.any():
            rows = which == number
            some, weight = ours[rows][:, pattern], theirs[rows][:, pattern]
            scale = np.abs(some).max(-1)
            known = np.broadcast_to(exact, which.shape)[rows]
            bounds = None
            if possible is not None:
                low, high = (
                    np.broadcast_to(part, which.shape)[rows] for part in possible[:2]
                )
                bounds = possible._replace(low=low, high=high)
            found[:, rows] = _interval_of_ratio(
                some, weight, scale, level, streams, known, bounds
            )
    return Interval(*(part[()] for part in found))


def _speaks(ours: np.ndarray, theirs: np.ndarray, unit: int) -> np.ndarray:
    """Tells which replicas belong to a unit that is not all zeros, [.., R]."""
    speaks = (ours != 0) | (theirs != 0)
    starts = np.arange(0, speaks.shape[-1], unit)
    by_unit = np.logical_or.reduceat(speaks, starts, axis=-1)
    return by_unit.repeat(unit, axis=-1)[..., : speaks.shape[-1]]


def _interval_of_ratio(
    ours: np.ndarray,
    theirs: np.ndarray,
    scale: np.ndarray,
    level: float,
    streams: Streams,
    exact: ArrayLike,
    possible: SampleRange | None,
) -> Interval:
    """Puts an interval around the ratio of the means of [.., R]; `scale` rounds."""
    is_zero = theirs.mean(-1, keepdims=True) == 0
    theirs = np.where(is_zero, np.nan, theirs)
    mean = theirs.mean(-1)
    ratio = ours.mean(-1) / mean
    residual = ours - ratio[..., np.newaxis] * theirs
    influence = residual / mean[..., np.newaxis]
    found = estimate(influence, is_constant(residual, scale), streams, exact)
    return interval_of(found._replace(mean=ratio), level, streams, possible)
