"""Standard errors that replicas of a stream imply, with their degrees of freedom.

Here: variance components of resampled test sets. Not here: the limits made of them
(`intervals`, `paired`). See the docstring of the package for what they cover.
"""

from typing import NamedTuple

import numpy as np

UPPER = 1.645
"""Standard errors added to a variance that must not be too small: 95 %, one-sided."""


class Error(NamedTuple):
    """A standard error and how well it is known; every field is [..]."""

    scale: np.ndarray  # [..] float64 >= 0
    freedom: np.ndarray  # [..] float64 > 0: degrees of freedom of its Student t


def num_units(num_replicas: int, stream: str, num_orders: int) -> int:
    """Returns how many independent units replicas are: with "bootstrap", test sets.

    Orders of one resampled test set say nothing about others: with a single unit
    nothing is known of the error, even if all replicas agree.
    """
    return num_replicas // num_orders if stream == "bootstrap" else num_replicas


def standard_error(influence: np.ndarray, stream: str, num_orders: int) -> Error:
    """Computes the standard error of a mean over replicas.

    For "shuffle" and "fixed": s / sqrt(R), R - 1 degrees of freedom. For "bootstrap"
    see `test_set_error`.

    Args:
        influence: [.., R >= 2] how each replica moves the estimate, up to a constant;
            at least 2 units, see `num_units`.
        stream: "shuffle", "bootstrap" or "fixed".
        num_orders: n, consecutive replicas that run over the same resampled test set.

    Returns:
        Error of [..] arrays.
    """
    if stream == "bootstrap":
        return test_set_error(influence, num_orders)
    num = influence.shape[-1]
    scale = influence.std(-1, ddof=1) / np.sqrt(num)
    return Error(scale, np.full(scale.shape, num - 1.0))


def test_set_error(influence: np.ndarray, num_orders: int) -> Error:
    """Computes the error of a mean value with respect to the population of samples.

    Estimated: how far the mean over replicas, all on resamples of one test set, may be
    from what it would be on the population that the test set came from. A policy that
    learns varies for two reasons: its test set and the order in which it came. Only
    the first is test-set error. With G test sets of n orders each (one-way analysis of
    variance; Searle, Casella and McCulloch 1992, ch. 3), MSB and MSW the mean squares
    between and within test sets,

        variance = (MSB - MSW) / n + MSB / (n G),

    the component between test sets plus the simulation error of the mean, with the
    degrees of freedom of Satterthwaite (1946). Where test sets hardly matter that
    component is lost in its own noise. The variance plus 1.645 of its standard errors,
    known to be large enough, is used instead where its interval is shorter than
    Student's with a handful of degrees of freedom: too wide rather than too narrow,
    and narrower with more replicas. With n = 1 orders and test sets cannot be told
    apart and the variance is all of MSB (1 + 1 / G), with G - 1 degrees of freedom,
    as it would be if the order did not matter.

    Args:
        influence: [.., R] with R >= 2 n; replicas g n ... g n + n - 1 share a test set.
            Replicas of an incomplete last group are left out of the mean squares.
        num_orders: n >= 1.

    Returns:
        Error of [..] arrays.
    """
    num_sets = influence.shape[-1] // num_orders
    used = influence[..., : num_sets * num_orders]
    groups = used.reshape(*used.shape[:-1], num_sets, num_orders)
    between = num_orders * groups.mean(-1).var(-1, ddof=1)
    within = groups.var(-1, ddof=min(1, num_orders - 1)).mean(-1)
    return error_of_mean_squares(between, within, num_sets, num_orders)


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
