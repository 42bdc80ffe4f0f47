"""From an estimate to its limits and its p value.

Here: which rule is whose. Not here: the rules (`skewed`, `bounded`), estimates
(`student`).
"""

import numpy as np

from jsplit.stats.base import Interval, SampleRange, Streams
from jsplit.stats.bounded import bounded_interval, bounded_test
from jsplit.stats.skewed import chance_of_unseen, skewed_interval, skewed_test
from jsplit.stats.student import Estimate, t_interval, t_test


def interval_of(
    found: Estimate,
    level: float,
    streams: Streams,
    possible: SampleRange | None = None,
) -> Interval:
    """Returns a mean and its limits, unknown where they can't be known.

    Resampled test sets of which nothing more is known have Student's.

    Args:
        found: over the replicas.
        level: probability that the limits cover, in (0, 1).
        streams: of the replicas.
        possible: what a sample can be, for "bootstrap" streams; None if not known.
    """
    if not streams.resampled:
        interval = skewed_interval(found, level)
        unknown = chance_of_unseen(found) > 1 - level
    elif possible is None:
        interval, unknown = t_interval(found, level), np.False_
    else:
        interval = bounded_interval(found, possible, level)
        unknown = _agrees_on_nothing(found, possible)
    surely = np.isinf(found.freedom)
    low, high = (
        np.where(surely, found.mean, np.where(unknown, np.nan, part))[()]
        for part in interval[1:]
    )
    return Interval(found.mean[()], low, high)


def p_value_of(
    found: Estimate, streams: Streams, possible: SampleRange | None = None
) -> np.ndarray:
    """Returns two-sided p values of a mean of 0, never 0.

    A p value is the smallest 1 - level at which the interval leaves out 0; 1 where the
    mean is 0, and NaN where the limits are unknown at every level.

    Args:
        found: over the replicas.
        streams: of the replicas.
        possible: as in `interval_of`.
    """
    if not streams.resampled:
        p_value = np.maximum(skewed_test(found), chance_of_unseen(found))
    elif possible is None:
        p_value = t_test(found)
    else:
        p_value = bounded_test(found, possible)
        p_value = np.where(_agrees_on_nothing(found, possible), np.nan, p_value)
    p_value = np.where(np.isinf(found.freedom), np.finfo(float).tiny, p_value)
    p_value = np.where(found.mean == 0, 1.0, p_value)
    return np.where(np.isnan(found.error), np.nan, p_value)[()]


def _agrees_on_nothing(found: Estimate, possible: SampleRange) -> np.ndarray:
    """Tells where all test sets agree, and nothing says what another could be."""
    bounded = np.isfinite(possible.low) & np.isfinite(possible.high)
    return (found.error == 0) & ~bounded
