"""Statements that hold together: bands for whole curves, the set of best policies.

Here: max-|t| quantiles, from the joint distribution of many estimates over replicas.
Not here: p values (`multiplicity`) and intervals that hold one by one (`intervals`).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from jsplit.stats.base import (
    NUM_RESAMPLES,
    ROUNDING,
    Interval,
    Streams,
    finite,
    is_constant,
    open_unit,
)
from jsplit.stats.bootstrap import resampled_weights
from jsplit.stats.errors import standard_error, units_of
from jsplit.types import JsplitError

MIN_UNITS = 20
"""Replicas, or resampled test sets: with fewer, a quantile of a maximum is noise."""
CHUNK = 250  # resamples held at once
NO_SPREAD = 1e-12  # variance of a resample of equal values, over that of the data


def simultaneous_band(
    curves: ArrayLike,
    *,
    level: float = 0.95,
    streams: Streams = Streams(),
    seed: int = 0,
) -> Interval:
    """Returns mean curves with bands that cover the whole curve at once.

    Estimated: the expected curve of one replica, at all its points together. The band
    is mean -+ c * error, with one c per curve: the `level` quantile of

        max over points of |mean* - mean| / error*

    over resamples of whole replicas (studentised max-|t| bootstrap; Chernozhukov,
    Chetverikov and Kato 2013 for the maximum, Hall 1988 for the studentisation). So
    the correlation between points is taken from the data. A pointwise band covers each
    point at the level and the whole curve less often. For "bootstrap" streams the
    replicas are themselves the resamples, and their deviations replace mean* - mean.
    Points where all replicas agree have zero width.

    Args:
        curves: [.., P, R] finite numbers: P points of a curve, R replicas.
        level: probability that a band covers its curve everywhere, in (0, 1).
        streams: what the replicas ran over.
        seed: seed of the resampling, >= 0.

    Returns:
        Interval of [.., P] arrays, in the unit of the curves; low and high are NaN for
        fewer than 20 replicas (for "bootstrap" streams, test sets).

    Raises:
        JsplitError: if curves are empty or not finite, or an argument is out of range.
    """
    values = finite("curves", curves, num_axes=2)
    open_unit("level", level)
    mean = values.mean(-1)
    num = streams.num_units(values.shape[-1])
    constant = is_constant(values, np.abs(values).max(-1))
    mean = np.where(constant, values[..., 0], mean)
    if num < MIN_UNITS:
        unknown = np.where(constant & (num > 1), mean, np.nan)
        return Interval(mean, unknown, unknown)
    units = _units(values, streams)
    spread = np.where(constant, 1.0, units.std(-1, ddof=1))[..., np.newaxis]
    units = np.where(constant[..., np.newaxis], 0.0, units) / spread
    if streams.resampled:  # resampled test sets are draws already
        largest = np.abs(units).max(-2)
    else:
        largest = np.concatenate(
            [np.abs(part).max(-2) for part in _studentized(units, seed)], -1
        )
    critical = np.quantile(largest, level, axis=-1, method="higher")
    error = _expanded_error(values, level, streams)
    half_width = np.where(constant, 0.0, critical[..., np.newaxis] * error)
    return Interval.around(mean, half_width)


def best_set(
    values: ArrayLike,
    *,
    higher_is_better: bool = True,
    level: float = 0.95,
    streams: Streams = Streams(),
    seed: int = 0,
) -> np.ndarray:
    """Tells which policies are not distinguishable from the best one.

    Estimated: which policies may have the best expected value. A policy is left out
    if another beats it by more than c standard errors of their paired difference,
    where c is the `level` quantile of the largest |t| over all pairs of policies,

        max over i, j of |(d_ij)* - d_ij| / error_ij,    d_ij = mean_i - mean_j,

    in resamples of whole replicas (for "bootstrap" streams the replicas are themselves
    the resamples). All truly best policies are in the set together with probability at
    least `level`, however many were compared. This is the one-step form of the model
    confidence set (Hansen, Lunde and Nason 2011) and of Romano and Wolf (2005).
    Policies that agree in every replica stay or leave together.

    Args:
        values: [P, R] finite numbers: P policies in the same R replicas.
        higher_is_better: False for costs and regrets.
        level: probability that no best policy is left out, in (0, 1).
        streams: what the replicas of all policies ran over.
        seed: seed of the resampling, >= 0.

    Returns:
        [P] bool, True = not distinguishable. With fewer than 20 replicas
        (for "bootstrap" streams, test sets) only a policy that is worse by the same
        amount in all of them is left out.

    Raises:
        JsplitError: if values are empty, not finite or not [P, R], or an argument is
            out of range.

    Example:
        >>> best_set([[0.8] * 50, [0.7] * 50]).tolist()
        [True, False]
    """
    array = finite("values", values, num_axes=2)
    if array.ndim != 2:
        raise JsplitError(f"values must be [policies, replicas], got {array.shape}")
    open_unit("level", level)
    array = array if higher_is_better else -array
    num = streams.num_units(array.shape[-1])
    scale = np.abs(array).max()
    units = np.zeros((len(array), 1))  # with fewer, nothing is drawn
    if num >= MIN_UNITS:
        units = _units(array, streams)
    draws = np.concatenate([*_draws(units, streams, seed)], -1)  # [P, draws]
    beats = np.zeros((len(array), len(array)))  # t of "row beats column"
    largest = np.zeros(draws.shape[-1])
    for row in range(len(array)):
        differences = array[row] - array
        # Rounding differs between two routes to one number; that is no evidence.
        is_rounding = np.abs(differences) <= ROUNDING * scale
        differences = np.where(is_rounding, 0.0, differences)
        constant = is_constant(differences, np.full(len(array), scale))
        mean = differences.mean(-1)
        if num > 1:
            certain = np.where(mean == 0, 0.0, np.copysign(np.inf, mean))
            beats[row] = np.where(constant, certain, 0.0)
        if num >= MIN_UNITS:
            error = _expanded_error(differences, level, streams)
            spread = (units[row] - units).std(-1, ddof=1)
            error, spread = (np.where(constant, 1.0, x) for x in (error, spread))
            beats[row] = np.where(constant, beats[row], mean / error)
            t = np.abs(draws[row] - draws) / spread[:, np.newaxis]
            largest = np.maximum(
                largest, np.where(constant[:, np.newaxis], 0, t).max(0)
            )
    is_beaten = (beats > np.quantile(largest, level, method="higher")).any(0)
    return np.logical_not(is_beaten)


def _expanded_error(values: np.ndarray, level: float, streams: Streams) -> np.ndarray:
    """Returns the [..] standard error, expanded for its few degrees of freedom.

    All resamples are divided by one standard error, so their maximum is normal where it
    should be Student's. The ratio of the two quantiles makes up for it.
    """
    from scipy.special import ndtri, stdtrit

    error = standard_error(values, streams)
    probability = (1 + level) / 2
    return error.scale * stdtrit(error.freedom, probability) / ndtri(probability)


def _units(values: np.ndarray, streams: Streams) -> np.ndarray:
    """Returns the independent units of [.., R] values, centred."""
    units, _ = units_of(values, streams)
    return units - units.mean(-1, keepdims=True)


def _studentized(units: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yields t statistics [.., draws] of resamples of [.., R] replicas.

    Each is divided by the error of its own resample. Skewed values need this: a
    resample without their rare large ones has a small mean and a small error.
    """
    num = units.shape[-1]
    generator = np.random.default_rng(seed)
    for _ in range(0, NUM_RESAMPLES, CHUNK):
        weights = resampled_weights(num, generator, CHUNK)
        mean = units @ weights
        variance = units**2 @ weights - mean**2
        # A resample of equal values has no t statistic of its own.
        known = variance > NO_SPREAD
        scale = np.sqrt(np.where(known, variance, 1.0) / (num - 1))
        yield np.where(known, mean / scale, 0.0)


def _draws(units: np.ndarray, streams: Streams, seed: int) -> Iterator[np.ndarray]:
    """Yields [.., draws] of the error of a mean, scaled like one of [.., units].

    Every row uses the same resamples, so that draws are joint over rows.
    """
    if streams.resampled:
        yield units  # resampled test sets are draws already
        return
    num = units.shape[-1]
    generator = np.random.default_rng(seed)
    for _ in range(0, NUM_RESAMPLES, CHUNK):
        weights = resampled_weights(num, generator, CHUNK)
        yield units @ weights * np.sqrt(num)
