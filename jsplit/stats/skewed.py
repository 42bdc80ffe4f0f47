"""Student's interval and test, widened where replicas are skewed or too few.

Here: what holds for replicas that are independent ("shuffle" and "fixed" streams) if a
few of them may be far from the others. Not here: resampled test sets (`bounded`).

Student's t misses a mean to one side if values are skewed: the sample that lacks the
rare large ones has a small mean and a small error. Hall's (1992) transformation takes
this out to first order. With T = (mean - truth) / error and k the skewness of the mean,
g / sqrt(R) for R values of skewness g, the monotone

    h(T) = T + k T^2 / 3 + k^2 T^3 / 27 + k / 6

has a distribution that is closer to Student's than that of T. The skewness of a sample
is too small on average, the more the skewer its law; it is taken 1 + 4 / R times. Each
limit is the farther one of both methods, each p value the larger one. For symmetric
values they agree.

What no replica has shown is not in their skewness either. An outcome with a chance of
one in ten stays unseen in R replicas with probability 0.9^R; replicas that all agree
may leave one of one in twenty unseen, 0.95^R. Where this is above 1 - level the limits
are unknown, and no p value is below it.

Reference:
    Hall, On the removal of skewness by transformation, JRSS B 54, 1992.
"""

import numpy as np

from jsplit.stats.base import Interval
from jsplit.stats.student import Estimate, t_interval, t_test

UNSEEN = 0.1
"""Chance of an outcome that replicas which differ must have been able to show."""
UNSEEN_IF_EQUAL = 0.05
"""The same for replicas that all agree, which say nothing about their spread."""
SKEWER = 4.0
"""Of R values, by how many R-ths the skewness is taken to be larger than it looks."""


def chance_of_unseen(found: Estimate) -> np.ndarray:
    """Returns the [..] probability that such an outcome is not among the replicas."""
    rare = np.where(found.error == 0, UNSEEN_IF_EQUAL, UNSEEN)
    return (1 - rare) ** (found.freedom + 1)


def skewed_interval(found: Estimate, level: float) -> Interval:
    """Returns Student's interval with Hall's limits where they lie farther out.

    Args:
        found: of independent replicas.
        level: in (0, 1).
    """
    from scipy.special import stdtrit

    student = t_interval(found, level)
    quantile = stdtrit(found.freedom, (1 + level) / 2)
    pull = _pull(found)
    low = found.mean - _transformed_back(quantile, pull) * found.error
    high = found.mean - _transformed_back(-quantile, pull) * found.error
    return Interval(
        student.mean, np.minimum(student.low, low), np.maximum(student.high, high)
    )


def skewed_test(found: Estimate) -> np.ndarray:
    """Returns two-sided [..] p values of a mean of 0, those of the interval.

    Args:
        found: of independent replicas.
    """
    from scipy.special import stdtr

    varies = found.error > 0
    t = found.mean / np.where(varies, found.error, 1.0)
    pull = _pull(found)
    moved = t + pull * t**2 / 3 + pull**2 * t**3 / 27 + pull / 6
    closest = np.where(t > 0, np.minimum(t, moved), np.minimum(-t, -moved))
    p_value = np.where(varies, 2 * stdtr(found.freedom, -closest.clip(0)), 0.0)
    return np.maximum(p_value, t_test(found))


def _pull(found: Estimate) -> np.ndarray:
    """Returns k, the skewness of the mean."""
    return found.skewness * (1 + SKEWER / (found.freedom + 1))


def _transformed_back(moved: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """Returns the T whose transform h(T) is given."""
    straight = np.abs(pull) < 1e-6
    k = np.where(straight, 1.0, pull)
    curved = 3 / k * (np.cbrt(1 + k * (moved - k / 6)) - 1)
    return np.where(straight, moved, curved)
