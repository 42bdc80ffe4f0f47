"""Intervals of the other two levels of error: test sets of one rule, and training.

Here: the exact value of a rule that does not learn (over its N samples) and the error
of training (over several traces). Not here: replicas of one trace (`intervals`).
"""

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.stats.base import Interval, check_options, finite, is_constant, open_unit
from jsplit.stats.errors import num_units, standard_error
from jsplit.types import JsplitError


def wilson_interval(
    num_successes: ArrayLike, num_samples: int, *, level: float = 0.95
) -> Interval:
    """Returns a rate and its score interval (Wilson 1927).

    Estimated: the probability that one fixed rule is right on a sample of the
    population that the N samples came from. Only for one rule that does not learn, on
    N independent samples; never for R x N pooled outcomes, nor for a learning policy,
    whose answers on one stream depend on each other. With z the normal quantile, p the
    rate: (p + z^2 / 2 N -+ z sqrt(p (1 - p) / N + z^2 / 4 N^2)) / (1 + z^2 / N). Not
    empty at p = 0 and p = 1, where one has seen all N agree and no more.

    Args:
        num_successes: [..] integers in 0..N.
        num_samples: N >= 1.
        level: Probability that the interval covers, in (0, 1).

    Returns:
        Interval of [..] arrays in [0, 1].

    Raises:
        JsplitError: For counts outside 0..N and arguments out of range.

    Example:
        >>> rate, low, high = wilson_interval(90, 100)
        >>> round(float(low), 4), round(float(high), 4)
        (0.8256, 0.9448)
    """
    from scipy.special import ndtri

    num = checks.integer("num_samples", num_samples, 1)
    open_unit("level", level)
    counts = np.asarray(num_successes, np.float64)
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


def sample_interval(values: ArrayLike, *, level: float = 0.95) -> Interval:
    """Returns the exact mean of a rule over a test set, and its test-set error.

    Estimated: the expected value of one fixed rule on a sample of the population.
    Resampled: nothing. The mean over the N samples is what every shuffle of the test
    set gives; its error against the population is Wilson's for booleans
    (`wilson_interval`), for numbers Student's, mean -+ t s / sqrt(N) with N - 1 degrees
    of freedom. Only for one rule that does not learn.

    Args:
        values: [.., N] booleans or finite numbers, one per sample of the test set.
        level: Probability that the interval covers, in (0, 1).

    Returns:
        Interval of [..] arrays; NaN limits for a single number.

    Raises:
        JsplitError: For values that are empty or not finite and a level out of range.
    """
    from scipy.special import stdtrit

    samples = finite("values", values)
    open_unit("level", level)
    num = samples.shape[-1]
    if np.asarray(values).dtype == bool:
        return wilson_interval(samples.sum(-1), num, level=level)
    constant = is_constant(samples, np.abs(samples).max(-1))
    mean = np.where(constant, samples[..., 0], samples.mean(-1))
    if num == 1:
        half_width = np.full(mean.shape, np.nan)
    else:
        error = samples.std(-1, ddof=1) / np.sqrt(num)
        half_width = stdtrit(num - 1, (1 + level) / 2) * np.where(constant, 0, error)
    return Interval(mean[()], (mean - half_width)[()], (mean + half_width)[()])


def training_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    stream: str = "shuffle",
    num_orders: int = 1,
) -> Interval:
    """Returns the mean over several trained models, with the error of training.

    Estimated: the expected value of a policy on the trace of a model trained once
    more. Resampled: a hierarchical bootstrap of traces, then of replicas, the same for
    all traces since evaluations with one seed share their streams. For a mean both
    levels have a closed form, so nothing is drawn: with S traces and s_trace the
    standard deviation over them of their means over replicas,

        variance = s_trace^2 / S + error^2 - (A - error^2) / (S - 1),

    error being that of the mean over traces as `mean_interval` has it (test-set error
    for "bootstrap" streams, simulation error for the others) and A the mean over
    traces of their own squared errors. What single traces answer differently on the
    same samples is in both first terms; the last takes it out once. s_trace has
    the divisor S - 1: resampled traces would have S, and with plain percentiles 5
    traces would cover 84 % instead of 95 %. Limits are Student's with the degrees of
    freedom of Satterthwaite (1946). Trained models must differ in their training seed
    only and be judged on the same test set.

    Args:
        values: [.., S, R] finite numbers: S >= 2 traces, R >= 2 replicas each.
        level: Probability that the interval covers, in (0, 1).
        stream: How the replicas' streams were made: "shuffle", "bootstrap", "fixed".
        num_orders: Consecutive replicas that run over one resampled test set, 4 in
            results of `evaluate`; read for "bootstrap" only.

    Returns:
        Interval of [..] arrays; low and high are NaN for a single trace, replica or
        resampled test set.

    Raises:
        JsplitError: For values that are empty or not finite and arguments out of range.
    """
    from scipy.special import stdtrit

    samples = finite("values", values, num_axes=2)
    check_options(level, stream, num_orders)
    num_traces, num_replicas = samples.shape[-2:]
    flat = samples.reshape(*samples.shape[:-2], -1)
    constant = is_constant(flat, np.abs(flat).max(-1))
    mean = np.where(constant, flat[..., 0], samples.mean((-2, -1)))
    if min(num_traces, num_units(num_replicas, stream, num_orders)) < 2:
        unknown = np.full_like(mean, np.nan)[()]
        return Interval(mean[()], unknown, unknown)
    of_traces = samples.mean(-1).var(-1, ddof=1) / num_traces
    error = standard_error(samples.mean(-2), stream, num_orders)
    error_of_one = standard_error(samples, stream, num_orders).scale
    twice = ((error_of_one**2).mean(-1) - error.scale**2).clip(0) / (num_traces - 1)
    variance = of_traces + error.scale**2 - twice
    variance = np.maximum(variance, np.maximum(of_traces, error.scale**2))
    noise = of_traces**2 / (num_traces - 1) + error.scale**4 / error.freedom
    known = noise > 0
    freedom = np.where(known, variance**2 / np.where(known, noise, 1.0), 1.0)
    half_width = stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance)
    half_width = np.where(constant, 0.0, half_width)
    return Interval(mean[()], (mean - half_width)[()], (mean + half_width)[()])
