"""Student's interval and test, widened where replicas are skewed or too few.

Here: what holds for replicas that are independent ("shuffle" and "fixed" streams) if a
few of them may be far from the others. Not here: resampled test sets (`errors`).

Student's t misses a mean to one side if values are skewed: the sample that lacks the
rare large ones has a small mean and a small error. Hall's (1992) transformation takes
this out to first order. With T = (mean - truth) / error, g the skewness of the R values
and k = g / sqrt(R), the monotone

    h(T) = T + k T^2 / 3 + k^2 T^3 / 27 + k / 6

has a distribution that is closer to Student's than that of T. Each limit is the farther
one of both methods, each p value the larger one. For symmetric values they agree.

What no replica has shown is not in their skewness either. An outcome with a chance of
one in ten stays unseen in R replicas with probability 0.9^R; replicas that all agree
may leave one of one in twenty unseen, 0.95^R. Where this is above 1 - level the limits
are unknown, and no p value is below it.

Reference:
    Hall, On the removal of skewness by transformation, JRSS B 54, 1992.
"""

import numpy as np

UNSEEN = 0.1
"""Chance of an outcome that replicas which differ must have been able to show."""
UNSEEN_IF_EQUAL = 0.05
"""The same for replicas that all agree, which say nothing about their spread."""


def chance_of_unseen(num_replicas: int, constant: np.ndarray) -> np.ndarray:
    """Returns the [..] probability that such an outcome is not among the replicas.

    Args:
        num_replicas: R >= 1.
        constant: [..] bool; True = all replicas agree.
    """
    rare = np.where(constant, UNSEEN_IF_EQUAL, UNSEEN)
    return (1 - rare) ** num_replicas


def half_widths(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far the limits lie below and above the mean, [..] each.

    Args:
        values: [.., R] float64, R >= 2.
        level: in (0, 1).
    """
    from scipy.special import stdtrit

    num = values.shape[-1]
    quantile = stdtrit(num - 1, (1 + level) / 2)
    error, pull = _error_and_pull(values)
    below = np.maximum(quantile, _transformed_back(quantile, pull))
    above = np.maximum(quantile, -_transformed_back(-quantile, pull))
    return below * error, above * error


def p_value(values: np.ndarray) -> np.ndarray:
    """Returns two-sided [..] p values of a mean of 0; 1 where nothing varies.

    Args:
        values: [.., R] float64, R >= 2.
    """
    from scipy.special import stdtr

    error, pull = _error_and_pull(values)
    t = np.where(error > 0, values.mean(-1) / np.where(error > 0, error, 1.0), 0.0)
    moved = t + pull * t**2 / 3 + pull**2 * t**3 / 27 + pull / 6
    closest = np.where(t > 0, np.minimum(t, moved), np.minimum(-t, -moved))
    return 2 * stdtr(values.shape[-1] - 1, -closest.clip(0))


def _error_and_pull(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the standard error of the mean and k, the skewness of the mean."""
    num = values.shape[-1]
    centred = values - values.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True))
    unit = centred / np.where(spread > 0, spread, 1.0)
    return spread[..., 0] / np.sqrt(num - 1), (unit**3).mean(-1) / np.sqrt(num)


def _transformed_back(moved: float, pull: np.ndarray) -> np.ndarray:
    """Returns the T whose transform h(T) is given."""
    straight = np.abs(pull) < 1e-6
    k = np.where(straight, 1.0, pull)
    curved = 3 / k * (np.cbrt(1 + k * (moved - k / 6)) - 1)
    return np.where(straight, moved, curved)
