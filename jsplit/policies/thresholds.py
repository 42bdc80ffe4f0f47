"""Policies whose arms have thresholds: AdaEE, and pairs of split and threshold.

Here: their plans. Not here: their selector (`index`).
"""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np

from jsplit import checks
from jsplit.policies import plans
from jsplit.policies.base import Policy
from jsplit.policies.index import UCB, UCBParams
from jsplit.types import Plan, Protocol

LOW, HIGH = 0.5, 1.0  # a sure answer of two classes is never below 0.5
NUM_THRESHOLDS = 6


def grid(low: float, high: float, num_thresholds: int) -> Any:
    """Returns evenly spaced thresholds in [0, 1], both ends included."""
    low = checks.number("low", low, 0.0, 1.0)
    high = checks.number("high", high, low, 1.0)
    num_thresholds = checks.integer("num_thresholds", num_thresholds, 1)
    xp: Any = jnp if checks.is_traced((low, high)) else np
    return xp.linspace(low, high, num_thresholds)


def adaee(
    *,
    depth: int = 1,
    low: float = LOW,
    high: float = HIGH,
    num_thresholds: int = NUM_THRESHOLDS,
    beta: float = 1.0,
) -> Policy:
    """AdaEE (UCBEE): UCB over the threshold at one exit, learning what shipping gains.

    The reward of threshold a is 0 if C_d >= a, and max(C_L - C_d, 0) - mu offload_d
    otherwise, C_i the confidence of exit i.

    Args:
        depth: the exit d whose threshold is learned, 1..L-1.
        low: smallest threshold, in [0, 1].
        high: largest threshold, in [low, 1].
        num_thresholds: thresholds, evenly spaced, >= 1; structure, so another number
            compiles again.
        beta: exploration, >= 0.

    Reference:
        Pacheco et al., AdaEE: adaptive early-exit DNN inference through multi-armed
        bandits, IEEE ICC 2023; Pacheco et al., UCBEE, IEEE Transactions on Network and
        Service Management 22, 2025.
    """
    depth = checks.integer("depth", depth, 1)
    alphas = grid(low, high, num_thresholds)
    build = functools.partial(_at_depth, depth=depth, alphas=alphas)
    params = UCBParams(checks.moderate("beta", beta))
    return Policy("adaee", build, UCB(), params=params, learns="gain")


def _at_depth(
    num_exits: int, protocol: Protocol, depth: int, alphas: np.ndarray
) -> Plan:
    del protocol
    checks.integer("depth", depth, 1, num_exits - 1)
    return plans.stack([plans.split(num_exits, depth, alpha) for alpha in alphas])


def joint_ucb(
    *,
    low: float = LOW,
    high: float = HIGH,
    num_thresholds: int = NUM_THRESHOLDS,
    beta: float = 1.0,
) -> Policy:
    """Joint UCB: SplitEE's UCB over every pair of split and threshold.

    Splits 1..L-1 at each threshold, and the final exit, which has none.

    Speed: 14 to 21 times UCB1's time per step at 12 exits and 6 thresholds, because
    these are 67 arms.

    Args:
        low: smallest threshold, in [0, 1].
        high: largest threshold, in [low, 1].
        num_thresholds: thresholds, evenly spaced, >= 1; structure, so another number
            compiles again.
        beta: exploration, >= 0.
    """
    build = functools.partial(_pairs, alphas=grid(low, high, num_thresholds))
    params = UCBParams(checks.moderate("beta", beta))
    return Policy("joint_ucb", build, UCB(), params=params)


def _pairs(num_exits: int, protocol: Protocol, alphas: np.ndarray) -> Plan:
    del protocol
    pairs = [
        plans.split(num_exits, depth, alpha)
        for depth in range(1, num_exits)
        for alpha in alphas
    ]
    return plans.stack([*pairs, plans.exit_at(num_exits, num_exits)])
