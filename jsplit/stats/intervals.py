"""Intervals of means and of ratios of means over replicas.

Here: Student t and the delta method. Not here: standard errors (`errors`) and what
skewness adds to them (`skewed`).
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
from jsplit.stats.bounded import limits, skewness_of
from jsplit.stats.errors import standard_error, units_of
from jsplit.stats.skewed import chance_of_unseen, half_widths


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
    - "bootstrap" streams: mean -+ t times the test-set error, which does not shrink
      with R (see `errors.test_set_error`), because there the replicas are themselves
      the resamples. With `possible` the limits follow the skewness of the replicas,
      stay in the range and allow for what the test set has not shown
      (`stats.bounded`).

    A fixed plan on a whole shuffled test set has no simulation error. Who knows this
    says so with `exact`: two replicas that agree then have zero width. With R = 1, or
    a single resampled test set, the variance is unknown: low and high are NaN.

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
    return interval_of_mean(samples, constant, level, streams, exact, possible)


def relative_change(
    values: ArrayLike,
    baseline: ArrayLike,
    *,
    level: float = 0.95,
    streams: Streams = Streams(),
    exact: ArrayLike = False,
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
    interval = _interval_of_ratio(change, theirs, scale, level, streams, exact)
    return Interval(*(100 * part for part in interval))


def ratio_interval(
    values: ArrayLike,
    weights: ArrayLike,
    *,
    level: float = 0.95,
    streams: Streams = Streams(),
    exact: ArrayLike = False,
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
            found[:, rows] = _interval_of_ratio(
                some, weight, scale, level, streams, known
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
) -> Interval:
    """Puts an interval around the ratio of the means of [.., R]; `scale` rounds."""
    is_zero = theirs.mean(-1, keepdims=True) == 0
    theirs = np.where(is_zero, np.nan, theirs)
    mean = theirs.mean(-1)
    estimate = ours.mean(-1) / mean
    residual = ours - estimate[..., np.newaxis] * theirs
    return _interval(
        estimate=estimate,
        influence=residual / mean[..., np.newaxis],
        constant=is_constant(residual, scale),
        level=level,
        streams=streams,
        exact=exact,
    )


def interval_of_mean(
    samples: np.ndarray,
    constant: np.ndarray,
    level: float,
    streams: Streams,
    exact: ArrayLike,
    possible: SampleRange | None,
) -> Interval:
    """Puts an interval around the mean of [.., R]; `constant` marks equal rows."""
    # The mean of equal numbers may miss them by a rounding.
    estimate = np.where(constant, samples[..., 0], samples.mean(-1))
    return _interval(
        estimate=estimate,
        influence=samples,
        constant=constant,
        level=level,
        streams=streams,
        exact=exact,
        possible=possible,
    )


def _interval(
    *,
    estimate: np.ndarray,
    influence: np.ndarray,
    constant: np.ndarray,
    level: float,
    streams: Streams,
    exact: ArrayLike,
    possible: SampleRange | None = None,
) -> Interval:
    """Puts an interval around a smooth function of replica means.

    Args:
        estimate: [..] the function at the means of all replicas.
        influence: [.., R] how each replica moves the estimate, up to a constant.
        constant: [..] bool; True = no replica moves it.
        level: in (0, 1).
        streams: what the replicas ran over.
        exact: [..] bool, True = no replica ever moves it if none here does.
        possible: as in `mean_interval`.

    Returns:
        Interval of [..] arrays.
    """
    num_replicas = influence.shape[-1]
    if streams.num_units(num_replicas) < 2:
        return Interval.unknown(estimate)
    if streams.resampled:
        from scipy.special import stdtrit

        error = standard_error(influence, streams)
        if possible is not None:
            scale = np.where(constant, 0.0, error.scale)
            units, _ = units_of(influence, streams)
            found = limits(
                estimate,
                error._replace(scale=scale),
                np.where(constant, 0.0, skewness_of(units)),
                possible,
                level,
            )
            return Interval(estimate[()], found[0][()], found[1][()])
        below = above = stdtrit(error.freedom, (1 + level) / 2) * error.scale
    else:
        below, above = half_widths(influence, level)
        known = (chance_of_unseen(num_replicas, constant) <= 1 - level) | (
            constant & np.asarray(exact, bool)
        )
        below, above = (np.where(known, part, np.nan) for part in (below, above))
        constant = constant & known
    low, high = estimate - below, estimate + above
    return Interval(
        estimate[()],
        np.where(constant, estimate, low)[()],
        np.where(constant, estimate, high)[()],
    )
