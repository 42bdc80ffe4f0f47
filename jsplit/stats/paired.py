"""Two policies on the same streams, compared replica by replica.

Here: the paired difference, its p value, and what pairing gains. Not here: families of
comparisons (`multiplicity`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jsplit.stats.base import ROUNDING, check_options, finite_pair, is_constant
from jsplit.stats.errors import num_units, standard_error
from jsplit.stats.intervals import interval_of_mean


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
    stream: str = "shuffle",
    num_orders: int = 1,
    seed: int = 0,
) -> Paired:
    """Compares two policies replica by replica, on the same streams.

    Estimated: the expected difference of one replica. Resampled: replicas, the two
    values of a replica always together. The correlation says what pairing gains:
    the variance of the difference is Va + Vb - 2 correlation sqrt(Va Vb), so a
    correlation of 0 means that common streams bought nothing.

    The p value is that of the paired t test for every R >= 2, so below 100 replicas
    it may disagree slightly with the BCa interval. It is 1 where all differences are
    zero and 0 where they are constant but not zero. For `stream="bootstrap"` the
    standard error is the test-set error, as in the interval.

    Args:
        values: [.., R] finite numbers, one per replica.
        baseline: [.., R] the baseline's numbers in the same replicas.
        level: Probability that the interval covers what it estimates, in (0, 1).
        stream: How the replicas' streams were made: "shuffle", "bootstrap", "fixed".
        num_orders: Consecutive replicas that run over one resampled test set, 4 in
            results of `evaluate`; read for "bootstrap" only.
        seed: Seed of the BCa bootstrap, >= 0; unused from 100 replicas on.

    Returns:
        Paired of [..] arrays.

    Raises:
        JsplitError: For unequal shapes, values that are empty or not finite and
            arguments out of range.
    """
    ours, theirs = finite_pair(values, baseline)
    check_options(level, stream, num_orders)
    scale = np.maximum(np.abs(ours), np.abs(theirs)).max(-1)
    differences = ours - theirs
    # One plan billed along two routes differs in the last bits; that is no evidence.
    is_rounding = np.abs(differences) <= ROUNDING * scale[..., np.newaxis]
    differences = np.where(is_rounding, 0.0, differences)
    constant = is_constant(differences, scale)
    interval = interval_of_mean(differences, constant, level, stream, num_orders, seed)
    p_value = _t_test(differences, constant, stream, num_orders)
    return Paired(*interval, _correlation(ours, theirs), p_value)


def _t_test(
    differences: np.ndarray, constant: np.ndarray, stream: str, num_orders: int
) -> np.ndarray:
    """Returns the [..] two-sided p values of mean(differences) = 0."""
    from scipy.special import stdtr

    if num_units(differences.shape[-1], stream, num_orders) < 2:
        return np.full(constant.shape, np.nan)[()]
    error = standard_error(differences, stream, num_orders)
    scale = np.where(constant, 1.0, error.scale)
    p_value = 2 * stdtr(error.freedom, -np.abs(differences.mean(-1) / scale))
    certain = np.where(differences[..., 0] == 0, 1.0, 0.0)
    return np.where(constant, certain, p_value)[()]


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Returns the [..] Pearson correlation over replicas, NaN where undefined."""
    pair = np.stack([ours, theirs])
    constant = is_constant(pair, np.abs(pair).max(-1)).any(0)
    centred = pair - pair.mean(-1, keepdims=True)
    norm = np.sqrt((centred**2).sum(-1)).prod(0)
    ratio = centred.prod(0).sum(-1) / np.where(constant, 1.0, norm)
    return np.where(constant, np.nan, ratio.clip(-1, 1))[()]
