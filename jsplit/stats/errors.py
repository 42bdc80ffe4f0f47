"""Standard errors of means over replicas, with their degrees of freedom.

Here: variance components of resampled test sets. Not here: the limits made of them
(`intervals`, `paired`). The docstring of the package says what they cover.
"""

from typing import NamedTuple

import numpy as np

from jsplit.stats.base import Streams

UPPER = 1.645
"""Standard errors added to a variance that must not be too small: 95 %, one-sided."""


class Error(NamedTuple):
    """A standard error and how well it is known; every field is [..]."""

    scale: np.ndarray  # [..] float64 >= 0
    freedom: np.ndarray  # [..] float64 > 0: degrees of freedom of its Student t


def units_of(values: np.ndarray, streams: Streams) -> tuple[np.ndarray, np.ndarray]:
    """Returns the independent units of values, and the variance within them.

    Units are the replicas, or for "bootstrap" streams the means over the orders of each
    test set: the spread between orders is no test-set error. Replicas of an incomplete
    last test set do not count.

    Args:
        values: [.., R].
        streams: what the replicas ran over.

    Returns:
        units: [.., units].
        within: [..] mean variance over the orders of a test set; 0 without orders.
    """
    if not streams.resampled:
        return values, np.zeros(values.shape[:-1])
    num, orders = streams.num_units(values.shape[-1]), streams.num_orders
    groups = values[..., : num * orders].reshape(*values.shape[:-1], num, orders)
    if not num or orders == 1:
        return groups.mean(-1), np.zeros(values.shape[:-1])
    return groups.mean(-1), groups.var(-1, ddof=1).mean(-1)


def standard_error(influence: np.ndarray, streams: Streams) -> Error:
    """Computes the standard error of a mean over replicas.

    For "shuffle" and "fixed" streams it is s / sqrt(R) with R - 1 degrees of freedom,
    s the standard deviation over replicas; for "bootstrap" streams `test_set_error`.

    Args:
        influence: [.., R] how each replica moves the estimate, up to a constant; at
            least 2 independent units (`Streams.num_units`).
        streams: what the replicas ran over.

    Returns:
        Error of [..] arrays.
    """
    if streams.resampled:
        return test_set_error(influence, streams.num_orders)
    num = influence.shape[-1]
    scale = influence.std(-1, ddof=1) / np.sqrt(num)
    return Error(scale, np.full(scale.shape, num - 1.0))


def test_set_error(influence: np.ndarray, num_orders: int) -> Error:
    """Computes the error of a mean value with respect to the population of samples.

    Estimated: how far the mean over replicas, which all resample one test set, may be
    from its value on the population that the test set came from. A policy that learns
    varies for two reasons: its test set, and the order of the samples. Only the first
    is test-set error. Take G test sets with n orders each, and the mean squares MSB
    between and MSW within test sets (one-way analysis of variance; Searle, Casella and
    McCulloch 1992, ch. 3). Then

        variance = (MSB - MSW) / n + MSB / (n G).

    The first term is the component between test sets, the second the simulation error
    of the mean. Degrees of freedom are Satterthwaite's (1946).

    Two cases differ:

    - Where test sets hardly matter, MSB - MSW is lost in its own noise. Student's
      interval then has a handful of degrees of freedom and is long. An upper bound of
      the variance, 1.645 of its standard errors above it, takes its place if that gives
      the shorter interval. It errs on the wide side and narrows with more replicas.
    - With n = 1 nothing separates orders from test sets. The variance is then all of
      MSB (1 + 1 / G), with G - 1 degrees of freedom, as if the order did not matter.

    Args:
        influence: [.., R] how each replica moves the estimate, up to a constant; R >=
            2 n. Replicas g n ... g n + n - 1 share a test set. Replicas of an
            incomplete last group do not count.
        num_orders: n, orders of each test set, >= 1.

    Returns:
        Error of [..] arrays.
    """
    means, within = units_of(influence, Streams("bootstrap", num_orders))
    between = num_orders * means.var(-1, ddof=1)
    return error_of_mean_squares(between, within, means.shape[-1], num_orders)


def error_of_mean_squares(
    between: np.ndarray, within: np.ndarray, num_sets: int, num_orders: int
) -> Error:
    """Computes `test_set_error` from the mean squares alone.

    Args:
        between: [..] MSB, between test sets.
        within: [..] MSW, between the orders of a test set.
        num_sets: G >= 2.
        num_orders: n >= 1.
    """
    of_mean = between / (num_orders * num_sets)
    if num_orders == 1:
        return Error(np.sqrt(between + of_mean), np.full(of_mean.shape, num_sets - 1.0))
    between_part = (1 + 1 / num_sets) * between
    variance = (between_part - within).clip(0) / num_orders
    variance = np.maximum(variance, of_mean)
    noise = between_part**2 / (num_sets - 1)
    noise = (noise + within**2 / (num_sets * (num_orders - 1))) / num_orders**2
    known = noise > 0
    freedom = np.where(known, variance**2 / np.where(known, noise, 1.0), 1.0)
    split = Error(np.sqrt(variance), freedom.clip(1.0))
    spread = (between_part + (num_orders - 1) * within) / num_orders
    large_enough = np.minimum(variance + UPPER * np.sqrt(2 * noise), spread)
    upper = Error(np.sqrt(large_enough), np.full(freedom.shape, num_sets - 1.0))
    return _shorter(split, upper)


def _shorter(first: Error, second: Error) -> Error:
    """Picks per row the error whose 95 % interval is shorter."""
    from scipy.special import stdtrit

    lengths = [error.scale * stdtrit(error.freedom, 0.975) for error in (first, second)]
    take = lengths[0] <= lengths[1]
    return Error(*(np.where(take, a, b) for a, b in zip(first, second, strict=True)))
