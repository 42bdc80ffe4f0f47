"""Standard errors that replicas of a stream imply, with their degrees of freedom.

Here: variance components of resampled test sets. Not here: the limits made of them
(`intervals`, `paired`). See the docstring of the package for what they cover.
"""

from typing import NamedTuple

import numpy as np


class Error(NamedTuple):
    """A standard error and how well it is known; every field is [..]."""

    scale: np.ndarray  # [..] float64 >= 0
    freedom: np.ndarray  # [..] float64 > 0: degrees of freedom of its Student t


def standard_error(influence: np.ndarray, stream: str, num_orders: int) -> Error:
    """Computes the standard error of a mean over replicas.

    For "shuffle" and "fixed": s / sqrt(R), R - 1 degrees of freedom. For "bootstrap"
    see `test_set_error`.

    Args:
        influence: [.., R >= 2] how each replica moves the estimate, up to a constant.
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

    the component between test sets plus the simulation error of the mean. Its degrees
    of freedom are Satterthwaite's (1946). The spread over replicas,
    s^2 (1 + 1 / R) with G - 1 degrees of freedom, is never too small; it is used where
    its interval is shorter, which happens where test sets hardly matter or are few,
    and where n = 1: then orders and test sets cannot be told apart. For a rule that
    does not learn the two agree.

    Args:
        influence: [.., R] with R >= 2; replicas g n ... g n + n - 1 share a test set.
            Replicas of an incomplete last group are left out of the mean squares.
        num_orders: n >= 1.

    Returns:
        Error of [..] arrays.
    """
    num = influence.shape[-1]
    num_sets = num // num_orders
    spread = np.sqrt(influence.var(-1, ddof=1) * (1 + 1 / num))
    upper = Error(spread, np.full(spread.shape, max(num_sets, 2) - 1.0))
    if num_orders == 1 or num_sets < 2:
        return upper
    used = influence[..., : num_sets * num_orders]
    groups = used.reshape(*used.shape[:-1], num_sets, num_orders)
    between = num_orders * groups.mean(-1).var(-1, ddof=1)
    within = groups.var(-1, ddof=1).mean(-1)
    between_part = (1 + 1 / num_sets) * between
    variance = (between_part - within).clip(0) / num_orders
    variance = np.maximum(variance, between / (num_orders * num_sets))
    noise = between_part**2 / (num_sets - 1)
    noise = noise + within**2 / (num_sets * (num_orders - 1))
    noise = noise / num_orders**2
    positive = noise > 0
    freedom = np.where(positive, variance**2 / np.where(positive, noise, 1.0), 1.0)
    split = Error(np.sqrt(variance), freedom.clip(1.0))
    return _shorter(split, upper)


def _shorter(first: Error, second: Error) -> Error:
    """Picks per row the error whose 95 % interval is shorter."""
    from scipy.special import stdtrit

    lengths = [error.scale * stdtrit(error.freedom, 0.975) for error in (first, second)]
    take = lengths[0] <= lengths[1]
    return Error(*(np.where(take, a, b) for a, b in zip(first, second, strict=True)))
