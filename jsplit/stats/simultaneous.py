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
    check_options,
    finite,
    is_constant,
)
from jsplit.stats.bootstrap import resampled_weights
from jsplit.stats.errors import num_units, standard_error
from jsplit.types import JsplitError

MIN_UNITS = 20
"""Replicas, or resampled test sets; of fewer, a quantile of a maximum says nothing."""
CHUNK = 250  # resamples held at once
NO_SPREAD = 1e-12  # variance of a resample of equal values, in units of the data's


def simultaneous_band(
    curves: ArrayLike,
    *,
    level: float = 0.95,
    stream: str = "shuffle",
    num_orders: int = 1,
    seed: int = 0,
) -> Interval:
    """Returns mean curves with bands that cover the whole curve at once.

    Estimated: the expected curve of one replica, at all C checkpoints together. The
    band is mean -+ c * error, with one c per curve: the `level` quantile of

        max over checkpoints of |mean* - mean| / error*

    over resamples of whole replicas (studentized max-|t| bootstrap; Chernozhukov,
    Chetverikov and Kato 2013 for the maximum, Hall 1988 for the studentization), so
    correlation between checkpoints is used, not assumed. A pointwise
    band covers each checkpoint at the level and the whole curve less often. For
    `stream="bootstrap"` the replicas are the resamples and their deviations take the
    place of mean* - mean. Checkpoints where all replicas agree have zero width.

    Args:
        curves: [.., C, R] finite numbers: C checkpoints, R replicas.
        level: Probability that a band covers its curve everywhere, in (0, 1).
        stream: How the replicas' streams were made: "shuffle", "bootstrap", "fixed".
        num_orders: Consecutive replicas that run over one resampled test set, 4 in
            results of `evaluate`; read for "bootstrap" only.
        seed: Seed of the resampling, >= 0.

    Returns:
        Interval of [.., C] arrays; low and high are NaN for fewer than 20 replicas (for
        "bootstrap", test sets), of which a quantile would mean nothing.

    Raises:
        JsplitError: For curves that are empty or not finite and arguments out of range.
    """
    values = finite("curves", curves, num_axes=2)
    check_options(level, stream, num_orders)
    mean = values.mean(-1)
    num = num_units(values.shape[-1], stream, num_orders)
    constant = is_constant(values, np.abs(values).max(-1))
    mean = np.where(constant, values[..., 0], mean)
    if num < MIN_UNITS:
        unknown = np.where(constant & (num > 1), mean, np.nan)
        return Interval(mean, unknown, unknown)
    units = _units(values, stream, num_orders)
    spread = np.where(constant, 1.0, units.std(-1, ddof=1))[..., np.newaxis]
    units = np.where(constant[..., np.newaxis], 0.0, units) / spread
    if stream == "bootstrap":  # resampled test sets are draws already
        largest = np.abs(units).max(-2)
    else:
        largest = np.concatenate(
            [np.abs(part).max(-2) for part in _studentized(units, seed)], -1
        )
    critical = np.quantile(largest, level, axis=-1, method="higher")
    error = _expanded_error(values, level, stream, num_orders)
    half_width = np.where(constant, 0.0, critical[..., np.newaxis] * error)
    return Interval(mean, mean - half_width, mean + half_width)


def best_set(
    values: ArrayLike,
    *,
    higher_is_better: bool = True,
    level: float = 0.95,
    stream: str = "shuffle",
    num_orders: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Tells which policies cannot be told from the best one.

    Estimated: which policies may have the best expected value. A policy is left out
    if another beats it by more than c standard errors of their paired difference,
    where c is the `level` quantile of the largest |t| over all pairs of policies,

        max over i, j of |(d_ij)* - d_ij| / error_ij,    d_ij = mean_i - mean_j,

    in resamples of whole replicas (for "bootstrap" streams the replicas are the
    resamples). All truly best policies are in the set together with probability at
    least `level`, however many were compared: it is the one-step form of the model
    confidence set (Hansen, Lunde and Nason 2011) and of Romano and Wolf (2005).
    Policies that agree in every replica stay or leave together.

    Args:
        values: [P, R] finite numbers: P policies in the same R replicas.
        higher_is_better: False for costs and regrets.
        level: Probability that no best policy is left out, in (0, 1).
        stream: How the replicas' streams were made: "shuffle", "bootstrap", "fixed".
        num_orders: Consecutive replicas that run over one resampled test set, 4 in
            results of `evaluate`; read for "bootstrap" only.
        seed: Seed of the resampling, >= 0.

    Returns:
        [P] bool, True = not distinguishable from the best. With fewer than 20
        replicas (for "bootstrap", test sets) only policies that are worse by the same
        amount in all are left out.

    Raises:
        JsplitError: For values that are empty, not finite or not [P, R] and arguments
            out of range.
    """
    array = finite("values", values, num_axes=2)
    if array.ndim != 2:
        raise JsplitError(f"values must be [policies, replicas], got {array.shape}")
    check_options(level, stream, num_orders)
    array = array if higher_is_better else -array
    num = num_units(array.shape[-1], stream, num_orders)
    scale = np.abs(array).max()
    units = np.zeros((len(array), 1))  # of fewer, nothing is drawn
    if num >= MIN_UNITS:
        units = _units(array, stream, num_orders)
    draws = np.concatenate([*_draws(units, stream, seed)], -1)  # [P, draws]
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
            error = _expanded_error(differences, level, stream, num_orders)
            spread = (units[row] - units).std(-1, ddof=1)
            error, spread = (np.where(constant, 1.0, x) for x in (error, spread))
            beats[row] = np.where(constant, beats[row], mean / error)
            t = np.abs(draws[row] - draws) / spread[:, np.newaxis]
            largest = np.maximum(
                largest, np.where(constant[:, np.newaxis], 0, t).max(0)
            )
    is_beaten = (beats > np.quantile(largest, level, method="higher")).any(0)
    return np.logical_not(is_beaten)


def _expanded_error(
    values: np.ndarray, level: float, stream: str, num_orders: int
) -> np.ndarray:
    """Returns the [..] standard error, larger where few replicas tell it badly.

    Resamples share the standard error of the data, so their maximum is normal where it
    should be Student's; the ratio of the two quantiles makes up for it.
    """
    from scipy.special import ndtri, stdtrit

    error = standard_error(values, stream, num_orders)
    probability = (1 + level) / 2
    return error.scale * stdtrit(error.freedom, probability) / ndtri(probability)


def _units(values: np.ndarray, stream: str, num_orders: int) -> np.ndarray:
    """Returns the independent units of [.., R] values, centred.

    They are the replicas; for "bootstrap" streams the test sets, each the mean over
    its orders, since what remains of the orders is not test-set error.
    """
    if stream == "bootstrap":
        num_sets = values.shape[-1] // num_orders
        groups = values[..., : num_sets * num_orders]
        values = groups.reshape(*values.shape[:-1], num_sets, num_orders).mean(-1)
    return values - values.mean(-1, keepdims=True)


def _studentized(units: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yields t statistics [.., draws] of resamples of [.., R] replicas.

    Each is divided by the error of its own resample, which a skewed checkpoint needs:
    a resample without its rare large values has a small mean and a small error.
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


def _draws(units: np.ndarray, stream: str, seed: int) -> Iterator[np.ndarray]:
    """Yields [.., draws] of the error of a mean, scaled like one of [.., units].

    Every row uses the same resamples, so that draws are joint over rows.
    """
    if stream == "bootstrap":
        yield units  # resampled test sets are draws already
        return
    num = units.shape[-1]
    generator = np.random.default_rng(seed)
    for _ in range(0, NUM_RESAMPLES, CHUNK):
        weights = resampled_weights(num, generator, CHUNK)
        yield units @ weights * np.sqrt(num)
