"""Means over replicas from their moments alone: intervals and paired tests.

Here: what is kept of many values, and the Student t statements that follow. Not here:
intervals that need every replica (`intervals`, `paired`), curves (`moments`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jsplit.stats.base import ROUNDING, Interval, Streams, finite, is_constant
from jsplit.stats.errors import Error, error_of_moments, units_of


class Spread(NamedTuple):
    """What is known of a mean from R replicas; arrays are [..].

    The units are the replicas or, for "bootstrap" streams, the means over the orders of
    each resampled test set.
    """

    mean: np.ndarray
    variance: np.ndarray  # of the units; 0 where all replicas agree
    within: np.ndarray  # variance over the orders of a test set, else 0


def spread(
    values: ArrayLike, streams: Streams, scale: np.ndarray | None = None
) -> Spread:
    """Returns the moments of values.

    Args:
        values: [.., R] finite numbers, one per replica.
        streams: of the replicas.
        scale: [..] size below whose rounding values are equal; by default their own.
    """
    array = finite("values", values)
    own = np.abs(array).max(-1)
    constant = is_constant(array, own if scale is None else scale)
    units, within = units_of(array, streams)
    num = units.shape[-1]
    variance = units.var(-1, ddof=1) if num > 1 else np.full(within.shape, np.nan)
    mean = np.where(constant, array[..., 0], array.mean(-1))
    known = constant & (num > 1)
    return Spread(mean, np.where(known, 0, variance), np.where(known, 0, within))


def spread_of_difference(
    values: np.ndarray, baseline: np.ndarray, streams: Streams
) -> Spread:
    """Returns the moments of values - baseline, [.., R] each, paired by replica.

    Differences that are rounding errors of their values count as none.
    """
    scale = np.maximum(np.abs(values), np.abs(baseline)).max(-1)
    differences = values - baseline
    is_rounding = np.abs(differences) <= ROUNDING * scale[..., np.newaxis]
    return spread(np.where(is_rounding, 0.0, differences), streams, scale)


def t_interval(
    found: Spread, num_replicas: int, streams: Streams, level: float
) -> Interval:
    """Returns mean -+ t error: no width where replicas agree, NaN for one unit."""
    from scipy.special import stdtrit

    error = _error(found, num_replicas, streams)
    return Interval.around(
        found.mean, error.scale * stdtrit(error.freedom, (1 + level) / 2)
    )


def t_test(found: Spread, num_replicas: int, streams: Streams) -> np.ndarray:
    """Returns two-sided p values of mean = 0, as `paired_difference` does."""
    from scipy.special import stdtr

    error = _error(found, num_replicas, streams)
    constant = error.scale == 0
    scale = np.where(constant, 1.0, error.scale)
    p_value = 2 * stdtr(error.freedom, -np.abs(found.mean / scale))
    return np.where(constant, np.where(found.mean == 0, 1.0, 0.0), p_value)


def _error(found: Spread, num_replicas: int, streams: Streams) -> Error:
    num = streams.num_units(num_replicas)
    return error_of_moments(found.variance, found.within, num, streams)
