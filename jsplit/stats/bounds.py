"""Many means whose covariances were not kept: what can be said of them all at once.

Here: intervals that hold together, the set that may hold the best, who is surely
dominated. Not here: comparisons that know every replica (`paired`, `simultaneous`).

Of two means on common streams only the standard errors a and b are known here. That of
their difference is at most a + b (the triangle inequality, which holds for sample
deviations too), so a gap above t (a + b) is one that the paired t test would call
significant, whatever the covariance. In other words: two intervals, each mean -+ t
error, that do not overlap.

That is exact for "shuffle" and "fixed" streams, whose errors are sample deviations. For
"bootstrap" streams an error is that of a component of variance (`errors`), estimated as
a difference of mean squares. The triangle inequality holds for what is estimated, not
for every estimate: the bound is there as good as the errors are known, and may miss the
paired error by their noise where test sets are few.
"""

import numpy as np

from jsplit.stats.base import ROUNDING, Interval
from jsplit.stats.student import Estimate


def joint_interval(found: Estimate, level: float, family: np.ndarray) -> Interval:
    """Returns intervals that cover their means all at once, by Bonferroni.

    So one of them covers although it was chosen as the best of its family.

    Args:
        found: [cells] means and their errors.
        level: probability that all of a family cover, in (0, 1).
        family: [cells] how many there are in each one's family, >= 1.
    """
    return _around(found, 1 - (1 - level) / (2 * family))


def may_be_best(
    own: Estimate,
    paired: Estimate,
    family: np.ndarray,
    shared: np.ndarray,
    *,
    level: float,
    higher_is_better: bool,
) -> np.ndarray:
    """Tells which cells cannot be told from the best one of their family.

    With probability `level` the best of a family of m cells is among them: a cell is
    left out if another one is better by more than t times the largest error that their
    difference may have, t the quantile of a one-sided test at (1 - level) / m. That
    error is the sum of the two cells' errors or, where both were compared with the same
    run of the baseline, the sum of the errors of these paired differences if that says
    more. A cell whose error is unknown is never left out.

    Args:
        own: [cells] means over the replicas.
        paired: [cells] means of the differences to a baseline.
        family: [cells] number of each one's family.
        shared: [cells] number of the run of the baseline that each was compared with.
        level: probability, in (0, 1), for one family.
        higher_is_better: whether the largest mean is the best.

    Returns:
        [cells] bool.

    Example:
        >>> own = Estimate(np.array([0.9, 0.8, 0.1]), np.full(3, 0.1), np.full(3, 99.0))
        >>> may_be_best(
        ...     own,
        ...     own,
        ...     np.zeros(3, int),
        ...     np.arange(3),
        ...     level=0.95,
        ...     higher_is_better=True,
        ... ).tolist()
        [True, True, False]
    """
    sign = 1 if higher_is_better else -1
    probability = 1 - (1 - level) / np.bincount(family)[family]
    pairs = np.unique(np.stack([family, shared]), axis=1, return_inverse=True)[1]
    slack = ROUNDING * np.abs(own.mean)
    found = np.ones(len(family), bool)
    for part, group in ((own, family), (paired, pairs)):
        part = part._replace(mean=sign * part.mean)
        _, low, high = _around(part, probability)
        best = np.full(group.max(initial=0) + 1, -np.inf)
        np.fmax.at(best, group, low)  # passes over unknown errors
        found &= ~(best[group] > high + slack)
    return found


def surely_dominated(cost: Interval, value: Interval) -> np.ndarray:
    """Tells which points have another one that costs less and is worth more.

    Of two points the limits decide, not the means: the other's cost is at most the low
    limit of this one's and its value at least the high limit, one of the two by more
    than rounding. In O(n log n).

    Args:
        cost: [points] intervals that hold at once; less is better.
        value: [points] intervals that hold at once; more is better.

    Returns:
        [points] bool; False where a limit is unknown.

    Example:
        >>> cost = Interval.around(np.array([1.0, 2.0, 2.0]), np.array([0.1, 0.1, 1.5]))
        >>> value = Interval.around(np.array([0.5, 0.4, 0.4]), np.zeros(3))
        >>> surely_dominated(cost, value).tolist()
        [False, True, False]
    """
    return _beaten(cost, value, cheaper=True) | _beaten(cost, value, cheaper=False)


def _beaten(cost: Interval, value: Interval, *, cheaper: bool) -> np.ndarray:
    """Tells which points are beaten by one that is clearly cheaper or clearly better.

    In the other of the two it only has to be as good.
    """
    slack_of_cost, slack_of_value = (
        ROUNDING * np.abs(part.mean) * (1 if clearly else -1)
        for part, clearly in ((cost, cheaper), (value, not cheaper))
    )
    order = np.argsort(cost.high, kind="stable")  # NaN last
    most = np.fmax.accumulate(np.nan_to_num(value.low[order], nan=-np.inf))
    limit = np.nan_to_num(cost.low - slack_of_cost, nan=-np.inf)
    side = "left" if cheaper else "right"
    affordable = np.searchsorted(cost.high[order], limit, side=side)
    best = np.concatenate([[-np.inf], most])[affordable]
    wanted = value.high + slack_of_value
    return best >= wanted if cheaper else best > wanted


def _around(found: Estimate, probability: np.ndarray) -> Interval:
    """Returns mean -+ the error times the quantile of its t at a probability."""
    from scipy.special import stdtrit

    return Interval.around(
        found.mean, found.error * stdtrit(found.freedom, probability)
    )
