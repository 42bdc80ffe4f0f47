"""Limits of the mean of a population, from one test set of it.

Here: what skewness, the range and what was never seen do to test-set error. Not here:
the standard error itself (`errors`, `levels`).

A test set of N samples has a mean m with standard error s and skewness k. Student's m
-+ t s is symmetric, leaves the range, and has no width where all samples agree. Here a
limit is a quantile of Pearson's type III distribution (a shifted gamma distribution)
with three cumulants. To those of the mean it adds what 2/3 of a further sample at an
edge e would: with d = (e - m) / (N + 1),

    m + 2/3 d,    s^2 + 2/3 d^2,    k s^3 + 4/3 d^3,

e below m for the low limit and above it for the high one. Of the outcomes that are met,
such as a right answer, a shipped sample or the dearest exit, the edge is the end of the
range (`SampleRange.attained`). For a rate the number of misses n enters as gamma(n +
2/3) and gamma(n), between Jeffreys' interval (1/2) and that of Clopper and Pearson (1);
for other values it is the bound of Gaffke (2005), with Dirichlet weights matched in
three moments and part of his added sample. After N equal samples a limit is 3 / N of
the range away.

A range whose ends are never met, such as a confidence of 0, says little, and an
infinite one nothing. There an edge is as far from m as the outer of the two values that
have the spread S = sqrt(N) s and the skewness g = sqrt(N) k of the samples if there are
only two,

    e = m -+ S (|g| / 2 + sqrt(1 + g^2 / 4)),

and within the range. Of a rate it is 0 or 1.

Student's heavier tails come in as the normal probability of his quantile: a limit at
level L is the quantile at ndtr(t) of the distribution. So a p value has a closed form.
Of nu degrees of freedom of s^2 the whole variance V has nu (V / s^2)^2 (Satterthwaite
1946).

Reference:
    Gaffke, Three test statistics for a nonparametric one-sided hypothesis on the mean
    of a nonnegative variable, Mathematical Methods of Statistics 14, 2005.
"""

from typing import NamedTuple

import numpy as np

from jsplit.stats.base import Interval, SampleRange
from jsplit.stats.student import Estimate

ADDED = 2 / 3
"""Share of a sample at the edge."""
STRAIGHT = 1e-4  # skewness that is none
MOST_FREEDOM = 1e9  # degrees of freedom from which Student's t is normal


class _Side(NamedTuple):
    """The distribution whose quantiles are the limits on one side, [..] each."""

    sign: int  # -1 = low limits, 1 = high ones
    end: np.ndarray  # of the range
    centre: np.ndarray
    scale: np.ndarray
    skewness: np.ndarray  # seen from this side: of sign * value
    freedom: np.ndarray


def bounded_interval(found: Estimate, possible: SampleRange, level: float) -> Interval:
    """Returns a mean and its limits, which lie in the range of the samples.

    Args:
        found: of the test set.
        possible: what a sample can be, [..] or numbers.
        level: in (0, 1).
    """
    from scipy.special import ndtr, stdtrit

    limits = []
    for side in _sides(found, possible):
        tail = ndtr(-stdtrit(side.freedom, (1 + level) / 2))
        limit = side.centre + side.sign * side.scale * _upper(tail, side.skewness)
        inner, outer = (np.maximum, np.minimum)[:: -side.sign]
        limits.append(outer(inner(limit, side.end), found.mean)[()])
    return Interval(found.mean[()], *limits)


def bounded_test(found: Estimate, possible: SampleRange) -> np.ndarray:
    """Returns two-sided [..] p values of a mean of 0: the interval's, turned round.

    A p value is the smallest 1 - level at which the interval leaves out 0. It is never
    0, though 0 may be out of the range, and 1 where the mean is 0.

    Args:
        found: of the test set.
        possible: as in `bounded_interval`.
    """
    from scipy.special import ndtri, stdtr

    tails = []
    for side in _sides(found, possible):
        away = -side.sign * side.centre / np.where(side.scale > 0, side.scale, 1.0)
        away = np.where(side.scale > 0, away, np.where(away > 0, np.inf, -np.inf))
        tail = stdtr(side.freedom, ndtri(_beyond(away, side.skewness)))
        tails.append(np.where(-side.sign * side.end > 0, 0.0, tail))
    p_value = (2 * np.minimum(*tails)).clip(np.finfo(float).tiny, 1.0)
    return np.where(found.mean == 0, 1.0, p_value)


def _sides(found: Estimate, possible: SampleRange) -> list[_Side]:
    num = np.asarray(possible.num_samples)
    scale, lean = found.error, np.asarray(found.skewness)
    spread, bend = np.sqrt(num) * scale, np.sqrt(num) * np.abs(lean)
    reach = spread * (bend / 2 + np.sqrt(1 + bend**2 / 4))
    sides = []
    for sign, limit in ((-1, possible.low), (1, possible.high)):
        # Rounding may have put the mean beyond the end.
        end = (
            np.minimum(limit, found.mean) if sign < 0 else np.maximum(limit, found.mean)
        )
        away = np.abs(end - found.mean)
        is_end = np.asarray(possible.attained, bool) | (scale == 0)
        away = np.where(is_end, away, np.minimum(away, reach))
        away = np.where(np.isfinite(away), away, 0.0) / (num + 1)
        variance = scale**2 + ADDED * away**2
        third = sign * lean * scale**3 + 2 * ADDED * away**3
        total = np.sqrt(variance)
        safe = np.where(total > 0, total, 1.0)
        # Of no error there is no doubt how large it is.
        share = (scale / safe) ** 4
        freedom = np.where(
            share * MOST_FREEDOM > found.freedom,
            found.freedom / np.where(share > 0, share, 1.0),
            MOST_FREEDOM,
        )
        centre = found.mean + sign * ADDED * away
        sides.append(_Side(sign, end, centre, total, third / safe**3, freedom))
    return sides


def _upper(tail: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Returns what a standard Pearson III variable exceeds with probability `tail`."""
    from scipy.special import gammainccinv, gammaincinv, ndtri

    straight, shape = _shape(skewness)
    right = (gammainccinv(shape, tail) - shape) / np.sqrt(shape)
    left = (shape - gammaincinv(shape, tail)) / np.sqrt(shape)
    curved = np.where(skewness < 0, left, right)
    return np.where(straight, -ndtri(tail), curved)


def _beyond(value: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Returns the probability that a standard Pearson III variable exceeds `value`."""
    from scipy.special import gammainc, gammaincc, ndtr

    straight, shape = _shape(skewness)
    right = gammaincc(shape, (shape + value * np.sqrt(shape)).clip(0))
    left = gammainc(shape, (shape - value * np.sqrt(shape)).clip(0))
    curved = np.where(skewness < 0, left, right)
    return np.where(straight, ndtr(-value), curved)


def _shape(skewness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tells where there is no skewness, and the shape of the gamma distribution."""
    straight = np.abs(skewness) < STRAIGHT
    return straight, 4 / np.where(straight, 1.0, skewness) ** 2
