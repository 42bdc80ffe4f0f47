"""Resampling of replicas.

Here: bootstrap weights. Not here: what is computed with them (`simultaneous`). All
draws come from an explicit seed.
"""

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
