"""Intervals without replicas of one trace: one fixed rule, and several trainings.

Here: the exact value of a rule that does not learn, with its test-set error over N
samples; the error of training, over several traces. Not here: replicas of one trace
(`intervals`).
"""

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.stats.base import (
    Interval,
    SampleRange,
    Streams,
    as_numbers,
    finite,
    is_constant,
    open_unit,
)
from jsplit.stats.bounded import bounded_interval
from jsplit.stats.errors import standard_error
from jsplit.stats.student import Estimate, skewness_of, t_interval
from jsplit.types import JsplitError


def wilson_interval(
    num_successes: ArrayLike, num_samples: int, *, level: float = 0.95
) -> Interval:
    """Returns a rate and its score interval (Wilson 1927).

    Estimated: the probability that one fixed rule is right on a sample of the
    population that the N samples came from. With z the normal quantile and p the rate,

        (p + z^2 / 2 N -+ z sqrt(p (1 - p) / N + z^2 / 4 N^2)) / (1 + z^2 / N).

    Its width is not zero at p = 0 and p = 1, where one has seen all N agree and no
    more. The samples must be independent: it is for one rule that does not learn, never
    for R x N pooled outcomes. The answers of a learning policy on one stream depend on
    each other.

    Args:
        num_successes: [..] integers in 0..N.
        num_samples: number of samples N, >= 1.
        level: probability that the interval covers, in (0, 1).

    Returns:
        Interval of [..] arrays in [0, 1].

    Raises:
        JsplitError: if a count is outside 0..N, or an argument is out of range.

    Example:
        >>> rate, low, high = wilson_interval(90, 100)
        >>> round(float(low), 4), round(float(high), 4)
        (0.8256, 0.9448)
    """
    from scipy.special import ndtri

    num = checks.integer("num_samples", num_samples, 1)
    open_unit("level", level)
    counts = as_numbers("num_successes", num_successes)
    wrong = counts[~((counts >= 0) & (counts <= num) & (counts == np.round(counts)))]
    if wrong.size:
        raise JsplitError(
            f"num_successes must be integers from 0 to {num}, got {wrong.flat[0]:g}"
        )
    rate = counts / num
    square = ndtri((1 + level) / 2) ** 2
    centre = (rate + square / (2 * num)) / (1 + square / num)
    half_width = np.sqrt(square * (rate * (1 - rate) / num + square / (4 * num**2)))
    half_width = half_width / (1 + square / num)
    # Rounding must not push the limit of a rate of 0 or 1 over the edge.
    low = np.where(counts == 0, 0.0, centre - half_width)
    high = np.where(counts == num, 1.0, centre + half_width)
    return Interval(rate[()], low[()], high[()])


def sample_interval(
    values: ArrayLike, *, level: float = 0.95, possible: SampleRange | None = None
) -> Interval:
    """Returns the exact mean of a rule over a test set, and its test-set error.

    Estimated: the expected value of one fixed rule on a sample of the population.
    Resampled: nothing. Every shuffle of the test set gives the mean over the N samples.
    Its error against the population follows from their skewness and their range, 0 to 1
    for booleans (`stats.bounded`). For numbers whose range is not known it is
    Student's, mean -+ t s / sqrt(N) with N - 1 degrees of freedom. Only for one rule
    that does not learn.

    Args:
        values: [.., N] booleans or finite numbers, one per sample of the test set.
        level: probability that the interval covers, in (0, 1).
        possible: what a sample can be; None if not known.

    Returns:
        Interval of [..] arrays, in the unit of the values; low and high are NaN for a
        single number of unknown range.

    Raises:
        JsplitError: if values are empty or not finite, or the level is out of range.

    Example:
        >>> mean, low, high = sample_interval([True] * 20)
        >>> round(float(low), 2), float(high)
        (0.86, 1.0)
    """
    samples = finite("values", values)
    open_unit("level", level)
    num = samples.shape[-1]
    if np.asarray(values).dtype == bool:
        possible = SampleRange(0.0, 1.0, num)
    constant = is_constant(samples, np.abs(samples).max(-1))
    mean = np.where(constant, samples[..., 0], samples.mean(-1))
    if num == 1 and possible is None:
        return Interval.unknown(mean)
    scale = samples.std(-1, ddof=min(num - 1, 1)) / np.sqrt(num)
    skewness = skewness_of(samples) / np.sqrt(num)
    scale, skewness = (np.where(constant, 0.0, part) for part in (scale, skewness))
    freedom = np.full(mean.shape, max(num - 1.0, 1.0))
    found = Estimate(mean, scale, freedom, skewness)
    if possible is None:
        return t_interval(found, level)
    return bounded_interval(found, possible, level)


def training_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    streams: Streams = Streams(),
) -> Interval:
    """Returns the mean over several trained models, with the error of training.

    Estimated: the expected value of a policy on the trace of a model trained once
    more. Resampled: traces, then replicas, as in a hierarchical bootstrap. Evaluations
    with one seed share their streams, so all traces resample the same replicas. For a
    mean both steps have a closed form, and nothing is drawn. With S traces,

        variance = s_trace^2 / S + error^2 - (A - error^2) / (S - 1).

    - s_trace is the standard deviation over traces of their means over replicas.
    - error is the error that `mean_interval` finds for the mean over traces: test-set
      error for "bootstrap" streams, simulation error for others.
    - A is the mean over traces of the squared errors of single traces.

    Traces that answer the same samples differently add to both first terms; the last
    term takes that out once. s_trace has the divisor S - 1. A bootstrap has S, and its
    plain percentiles would cover 84 % instead of 95 % with 5 traces. Limits are
    Student's, with Satterthwaite's (1946) degrees of freedom. Trained models must
    differ in their training seed only and be judged on the same test set.

    Args:
        values: [.., S, R] finite numbers: S >= 2 traces, R >= 2 replicas each.
        level: probability that the interval covers, in (0, 1).
        streams: what the replicas of every trace ran over.

    Returns:
        Interval of [..] arrays, in the unit of the values; low and high are NaN for a
        single trace, replica or resampled test set.

    Raises:
        JsplitError: if values are empty or not finite, or an argument is out of range.
    """
    from scipy.special import stdtrit

    samples = finite("values", values, num_axes=2)
    open_unit("level", level)
    num_traces, num_replicas = samples.shape[-2:]
    flat = samples.reshape(*samples.shape[:-2], -1)
    constant = is_constant(flat, np.abs(flat).max(-1))
    mean = np.where(constant, flat[..., 0], samples.mean((-2, -1)))
    if min(num_traces, streams.num_units(num_replicas)) < 2:
        return Interval.unknown(mean)
    of_traces = samples.mean(-1).var(-1, ddof=1) / num_traces
    error = standard_error(samples.mean(-2), streams)
    error_of_one = standard_error(samples, streams).scale
    twice = ((error_of_one**2).mean(-1) - error.scale**2).clip(0) / (num_traces - 1)
    variance = of_traces + error.scale**2 - twice
    variance = np.maximum(variance, np.maximum(of_traces, error.scale**2))
    noise = of_traces**2 / (num_traces - 1) + error.scale**4 / error.freedom
    known = noise > 0
    freedom = np.where(known, variance**2 / np.where(known, noise, 1.0), 1.0)
    half_width = stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance)
    half_width = np.where(constant, 0.0, half_width)
    return Interval.around(mean, half_width)
