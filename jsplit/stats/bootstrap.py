"""Bootstrap limits of smooth functions of replica means.

Here: resampling of replicas and the BCa limits. Not here: which statistic is wanted
(`intervals`). All draws come from an explicit seed.
"""

from collections.abc import Callable

import numpy as np

from jsplit.stats.base import NUM_RESAMPLES


def resampled_weights(
    num_units: int, generator: np.random.Generator, num_resamples: int = NUM_RESAMPLES
) -> np.ndarray:
    """Draws bootstrap weights: how often each unit is in a resample, over their number.

    Args:
        num_units: units to resample, >= 1.
        generator: source of randomness.
        num_resamples: B, resamples, >= 1.

    Returns:
        [units, B] float64; columns sum to 1, so `values @ weights` are resampled means.
    """
    # Counting uniform picks is ten times as fast as drawing multinomial counts.
    picks = generator.integers(num_units, size=(num_resamples, num_units))
    picks += num_units * np.arange(num_resamples)[:, np.newaxis]
    counts = np.bincount(picks.ravel(), minlength=picks.size)
    return counts.reshape(picks.shape).T / num_units


# A ratio may divide by zero in a resample; its limits then show infinities.
@np.errstate(divide="ignore", invalid="ignore")
def bca(
    samples: np.ndarray,
    statistic_fn: Callable[[np.ndarray], np.ndarray],
    level: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Computes bias-corrected accelerated bootstrap limits (Efron 1987).

    Differs from the textbook in one place: sqrt(R / (R - 1)) times Student's quantile
    replaces the normal one, as in Hesterberg's (2015) expanded percentile interval.
    Without it 95 % limits of 10 normal replicas cover 90 %, with it 94 %.

    Every row is resampled with the same replicas. So rows stay comparable, and one
    matrix product replaces the loop over resamples.

    Args:
        samples: [S, .., R] the S quantities of R >= 2 replicas.
        statistic_fn: the statistic, [S, .., B] means to [.., B].
        level: probability that the limits enclose the statistic, in (0, 1).
        seed: seed of the resampling, >= 0.

    Returns:
        Two [..] arrays, low and high.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    num = samples.shape[-1]
    weights = resampled_weights(num, np.random.default_rng(seed))
    resampled = np.sort(statistic_fn(samples @ weights))
    estimate = statistic_fn(samples.mean(-1, keepdims=True))
    without_one = (samples.sum(-1, keepdims=True) - samples) / (num - 1)
    jackknife = statistic_fn(without_one)
    pull = jackknife.mean(-1, keepdims=True) - jackknife
    skew = (pull**3).sum(-1) / (pull**2).sum(-1) ** 1.5
    acceleration = np.where(np.isfinite(skew), skew / 6, 0.0)
    # Ties count half: few replicas give few distinct resamples.
    below = (resampled < estimate).mean(-1) + (resampled == estimate).mean(-1) / 2
    smallest = 0.5 / NUM_RESAMPLES
    bias = ndtri(below.clip(smallest, 1 - smallest))

    def limit(probability: float) -> np.ndarray:
        shifted = bias + np.sqrt(num / (num - 1)) * stdtrit(num - 1, probability)
        return row_quantile(
            resampled, ndtr(bias + shifted / (1 - acceleration * shifted))
        )

    return limit((1 - level) / 2), limit((1 + level) / 2)


def row_quantile(ascending: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Interpolates one quantile per row; `np.quantile` takes the same for all rows."""
    position = probability * (ascending.shape[-1] - 1)
    left = np.floor(position).astype(int)
    right = np.minimum(left + 1, ascending.shape[-1] - 1)
    both = np.stack([left, right], axis=-1)
    value = np.take_along_axis(ascending, both, axis=-1)
    weight = position - left
    return (1 - weight) * value[..., 0] + weight * value[..., 1]
