"""Student t statements from a mean and its standard error alone.

Here: what has to be kept of many values, and the interval and the test that follow. Not
here: standard errors (`errors`), intervals that need every replica (`intervals`).
"""

from typing import NamedTuple

import numpy as np

from jsplit.stats.base import Interval, Streams
from jsplit.stats.errors import standard_error


class Estimate(NamedTuple):
    """A mean over replicas and how well it is known; every field is [..]."""

    mean: np.ndarray
    error: np.ndarray  # standard error; 0 where all replicas agree, NaN = unknown
    freedom: np.ndarray  # degrees of freedom of its Student t


def estimate(values: np.ndarray, constant: np.ndarray, streams: Streams) -> Estimate:
    """Returns the mean of values and its standard error.

    Args:
        values: [.., R] float64, one per replica.
        constant: [..] bool; True = all replicas agree, up to rounding.
        streams: of the replicas.
    """
    # The mean of equal numbers may miss them by a rounding.
    mean = np.where(constant, values[..., 0], values.mean(-1))
    if streams.num_units(values.shape[-1]) < 2:
        return Estimate(mean, np.full(mean.shape, np.nan), np.ones(mean.shape))
    scale, freedom = standard_error(values, streams)
    return Estimate(mean, np.where(constant, 0.0, scale), freedom)


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
