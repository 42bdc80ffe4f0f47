"""Limits of the mean of a population of bounded values, from one test set of it.

Here: what skewness, the range and what was never seen do to test-set error. Not here:
the standard error itself (`errors`, `levels`).

A test set of N samples has a mean m with standard error s and skewness g. Student's m
-+ t s is symmetric, leaves the range, and has no width where all samples agree. Here a
limit is a quantile of Pearson's type III distribution (a shifted gamma distribution)
with three cumulants. To those of the mean it adds what 2/3 of a further sample at the
edge e of the range would: with d = (e - m) / (N + 1),

    m + 2/3 d,    s^2 + 2/3 d^2,    g s^3 + 4/3 d^3,

e the smallest possible value for the low limit and the largest for the high one. For
a rate the number of misses k enters as gamma(k + 2/3) and gamma(k), between Jeffreys'
interval (1/2) and that of Clopper and Pearson (1). For other values it is the bound of
Gaffke (2005), with Dirichlet weights matched in three moments and part of his added
sample. Whether rates are .8 or .999, this covers 94 to 98 % at N = 50 and more; after N
equal samples a limit is 3 / N of the range away. Of an infinite range there is no edge:
limits then follow the skewness alone.

Reference:
    Gaffke, Three test statistics for a nonparametric one-sided hypothesis on the mean
    of a nonnegative variable, Mathematical Methods of Statistics 14, 2005.
"""

import numpy as np

from jsplit.stats.base import SampleRange
from jsplit.stats.errors import Error

ADDED = 2 / 3
"""Share of a sample at the edge. From 0.6 on no rate is covered below 93.5 %."""
STRAIGHT = 1e-4  # skewness that is none


def limits(
    mean: np.ndarray,
    error: Error,
    skewness: np.ndarray,
    possible: SampleRange,
    level: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the low and the high limit of a mean.

    Args:
        mean: [..] of the test set.
        error: of the mean, [..]; scale 0 = all samples agree.
        skewness: [..] of the mean's distribution.
        possible: what a sample can be, [..] or numbers.
        level: in (0, 1).
    """
    from scipy.special import ndtri, stdtrit

    probability = (1 + level) / 2
    # Student's quantile in place of the normal one, as far as the error is uncertain.
    scale = error.scale * stdtrit(error.freedom, probability) / ndtri(probability)
    found = []
    for edge, chance in ((possible.low, 1 - probability), (possible.high, probability)):
        # Rounding may have put the mean beyond the edge.
        outer = np.minimum if chance < 0.5 else np.maximum
        edge = outer(edge, mean)
        bounded = np.isfinite(edge)
        away = np.where(bounded, edge, mean) - mean
        away = away / (possible.num_samples + 1)
        variance = scale**2 + ADDED * away**2
        third = skewness * scale**3 + 2 * ADDED * away**3
        limit = _quantile(mean + ADDED * away, variance, third, chance)
        inner = np.maximum if chance < 0.5 else np.minimum
        found.append(outer(inner(limit, edge), mean))
    return found[0], found[1]


def skewness_of(units: np.ndarray) -> np.ndarray:
    """Returns the [..] skewness of [.., n] values, 0 where they agree."""
    centred = units - units.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True))
    return ((centred / np.where(spread > 0, spread, 1.0)) ** 3).mean(-1)


def _quantile(
    mean: np.ndarray, variance: np.ndarray, third: np.ndarray, chance: float
) -> np.ndarray:
    """Returns a quantile of Pearson's type III distribution from its cumulants."""
    from scipy.special import gammaincinv, ndtri

    scale = np.sqrt(variance)
    skewness = third / np.where(scale > 0, scale, 1.0) ** 3
    straight = np.abs(skewness) < STRAIGHT
    shape = 4 / np.where(straight, 1.0, skewness) ** 2
    turned = np.where(skewness < 0, 1 - chance, chance)
    away = (gammaincinv(shape, turned) - shape) / np.sqrt(shape)
    away = np.where(skewness < 0, -away, away)
    return mean + scale * np.where(straight, ndtri(chance), away)
