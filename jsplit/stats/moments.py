"""Curves over checkpoints, without every replica's: means, covariances, bands.

Here: what is kept of many replicas' curves, how parts are put together, and the bands
that follow. Not here: bands from all curves (`simultaneous`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jsplit.stats.base import (
    NUM_RESAMPLES,
    Interval,
    Streams,
    finite,
    is_constant,
    open_unit,
)
from jsplit.stats.errors import Error, error_of_mean_squares, units_of
from jsplit.stats.simultaneous import MIN_UNITS
from jsplit.stats.student import Estimate, t_interval


class Moments(NamedTuple):
    """What is known of [.., C] curves at C checkpoints from their R replicas.

    The units are the replicas or, for "bootstrap", the means over the orders of each
    resampled test set.
    """

    mean: np.ndarray  # [.., C] over the replicas
    covariance: np.ndarray  # [.., C, C] of the units; 0 where all replicas agree
    within: np.ndarray  # [.., C] variance over the orders of a test set, else 0
    num_units: int


def moments(curves: ArrayLike, streams: Streams) -> Moments:
    """Returns the moments of curves.

    Args:
        curves: [.., C, R] finite numbers.
        streams: of the replicas.
    """
    values = finite("curves", curves, num_axes=2)
    constant = is_constant(values, np.abs(values).max(-1))
    mean = np.where(constant, values[..., 0], values.mean(-1))
    values = np.where(constant[..., np.newaxis], mean[..., np.newaxis], values)
    units, within = units_of(values, streams)
    num = units.shape[-1]
    units = units - (units.mean(-1, keepdims=True) if num else 0)
    covariance = units @ units.swapaxes(-1, -2) / max(num - 1, 1)
    varies = ~constant
    covariance = covariance * (varies[..., np.newaxis] & varies[..., np.newaxis, :])
    return Moments(mean, covariance, np.where(constant, 0.0, within), num)


def merged(parts: Sequence[Moments], num_replicas: Sequence[int]) -> Moments:
    """Returns the moments of several parts' replicas together.

    Args:
        parts: at least one, of the same curves.
        num_replicas: of each part.
    """
    weights = np.asarray(num_replicas, np.float64) / sum(num_replicas)
    mean = sum(w * part.mean for w, part in zip(weights, parts, strict=True))
    units = np.array([part.num_units for part in parts], np.float64)
    total = units.sum()
    of_units = units / max(total, 1)
    centre = sum(w * part.mean for w, part in zip(of_units, parts, strict=True))
    spread: np.ndarray | float = 0.0
    within: np.ndarray | float = 0.0
    for number, share, part in zip(units, of_units, parts, strict=True):
        away = part.mean - centre
        spread = spread + max(number - 1, 0) * part.covariance
        spread = spread + number * away[..., np.newaxis] * away[..., np.newaxis, :]
        within = within + share * part.within
    covariance = np.asarray(spread) / max(total - 1, 1)
    return Moments(np.asarray(mean), covariance, np.asarray(within), int(total))


def pointwise_band(
    curves: Moments, streams: Streams, *, level: float = 0.95
) -> Interval:
    """Returns mean curves with a Student t interval at each checkpoint.

    Estimated: the expected curve of one replica. mean -+ t * error, where error is
    the square root of covariance / R, or for "bootstrap" the test-set error of
    `errors.test_set_error`. Each interval holds by itself.

    Args:
        curves: of R replicas.
        streams: of the replicas.
        level: probability that an interval covers, in (0, 1).

    Returns:
        Interval of [.., C] arrays; NaN limits for a single unit.
    """
    open_unit("level", level)
    return t_interval(Estimate(curves.mean, *_error(curves, streams)), level)


def plugin_band(
    curves: Moments, streams: Streams, *, level: float = 0.95, seed: int = 0
) -> Interval:
    """Returns mean curves with bands that cover the whole curve at once.

    The band is mean -+ c * error with one c per curve: the `level` quantile of the
    largest |t| over checkpoints of normal curves with the correlations found
    (sup-t band; Montiel Olea and Plagborg-Moller 2019). It needs no replica's curve;
    `simultaneous_band`, which resamples them, also allows for their skewness.

    Args:
        curves: of R replicas.
        streams: of the replicas.
        level: probability that a band covers its curve everywhere, in (0, 1).
        seed: of the draws, >= 0.

    Returns:
        Interval of [.., C] arrays; NaN limits for fewer than 20 units.
    """
    from scipy.special import ndtri, stdtrit

    open_unit("level", level)
    if curves.num_units < MIN_UNITS:
        known = np.diagonal(curves.covariance, axis1=-2, axis2=-1) == 0
        limit = np.where(known & (curves.num_units > 1), curves.mean, np.nan)
        return Interval(curves.mean, limit, limit)
    scale = np.sqrt(np.diagonal(curves.covariance, axis1=-2, axis2=-1))
    scale = np.where(scale > 0, scale, 1.0)
    correlation = curves.covariance / (
        scale[..., np.newaxis] * scale[..., np.newaxis, :]
    )
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(values.clip(0))[..., np.newaxis, :]
    normal = np.random.default_rng(seed).standard_normal(
        (curves.mean.shape[-1], NUM_RESAMPLES)
    )
    largest = np.abs(root @ normal).max(-2)
    critical = np.quantile(largest, level, axis=-1, method="higher")[..., np.newaxis]
    error = _error(curves, streams)
    probability = (1 + level) / 2
    # Student's quantile in place of the normal one, where few units tell the error.
    expanded = error.scale * stdtrit(error.freedom, probability) / ndtri(probability)
    return Interval.around(curves.mean, critical * expanded)


def _error(curves: Moments, streams: Streams) -> Error:
    """Returns the [.., C] standard error of the mean curves; NaN of a single unit."""
    variance = np.diagonal(curves.covariance, axis1=-2, axis2=-1)
    num = curves.num_units
    if num < 2:
        return Error(np.full(variance.shape, np.nan), np.ones(variance.shape))
    if streams.resampled:
        orders = streams.num_orders
        return error_of_mean_squares(orders * variance, curves.within, num, orders)
    return Error(np.sqrt(variance / num), np.full(variance.shape, num - 1.0))
