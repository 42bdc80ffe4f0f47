"""What is kept of many values, and Student t statements from it.

Here: means with their standard errors and skewness. Not here: standard errors
(`errors`), limits that follow skewness (`skewed`, `bounded`), which of them is whose
(`intervals`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jsplit.stats.base import Interval, Streams
from jsplit.stats.errors import standard_error, units_of


class Estimate(NamedTuple):
    """A mean over replicas and how well it is known; every field is [..]."""

    mean: np.ndarray  # [..] float64
    error: np.ndarray  # standard error; 0 where all replicas agree, NaN = unknown
    freedom: np.ndarray  # degrees of freedom of its Student t; inf = known to agree
    skewness: np.ndarray = np.zeros(())  # of the mean's distribution, 0 where all agree


def estimate(
    values: np.ndarray,
    constant: np.ndarray,
    streams: Streams,
    exact: ArrayLike = False,
) -> Estimate:
    """Returns the mean of values, its standard error and its skewness.

    Independent replicas ("shuffle" and "fixed" streams) of skewness g have a mean of
    skewness g / sqrt(R). Resampled test sets are themselves draws of such a mean.

    Args:
        values: [.., R] float64, one per replica.
        constant: [..] bool; True = all replicas agree, up to rounding.
        streams: of the replicas.
        exact: [..] bool; True = replicas that agree are known to agree always.
    """
    # The mean of equal numbers may miss them by a rounding.
    mean = np.where(constant, values[..., 0], values.mean(-1))
    known = constant & np.asarray(exact, bool)
    if streams.num_units(values.shape[-1]) < 2:
        error, freedom = np.where(known, 0.0, np.nan), np.where(known, np.inf, 1.0)
        return Estimate(mean, error, freedom, np.zeros(mean.shape))
    scale, freedom = standard_error(values, streams)
    units, _ = units_of(values, streams)
    skewness = skewness_of(units)
    if not streams.resampled:
        skewness = skewness / np.sqrt(values.shape[-1])
    error, skewness = (np.where(constant, 0.0, part) for part in (scale, skewness))
    return Estimate(mean, error, np.where(known, np.inf, freedom), skewness)


def skewness_of(units: np.ndarray) -> np.ndarray:
    """Returns the [..] skewness of [.., n] values, 0 where they agree."""
    centred = units - units.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True))
    return ((centred / np.where(spread > 0, spread, 1.0)) ** 3).mean(-1)


def t_interval(found: Estimate, level: float) -> Interval:
    """Returns mean -+ t error at a level in (0, 1)."""
    from scipy.special import stdtrit

    quantile = stdtrit(found.freedom, (1 + level) / 2)
    return Interval.around(found.mean, found.error * quantile)


def t_test(found: Estimate) -> np.ndarray:
    """Returns two-sided p values of mean = 0, never 0; 1 where there is no difference.

    A p value is not below 2^-freedom: R differences of one sign, R - 1 the degrees of
    freedom, have that probability if both signs are equally likely.
    """
    from scipy.special import stdtr

    certain = found.error == 0
    error = np.where(certain, 1.0, found.error)
    p_value = 2 * stdtr(found.freedom, -np.abs(found.mean / error))
    p_value = np.where(certain, np.where(found.mean == 0, 1.0, 0.0), p_value)
    least = np.maximum(0.5**found.freedom, np.finfo(float).tiny)
    return np.maximum(p_value, least)
