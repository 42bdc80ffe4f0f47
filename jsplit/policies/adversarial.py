"""Exponential weights for rewards that anything may choose: EXP3 and EXP3.S.

Here: selectors that draw an arm and divide its reward by the chance of drawing it. They
learn from the played arm alone, for rewards in [0, 1]. `update` computes the chance
again from the state that `select` saw; a compiler computes it once.
"""

import abc
import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit import checks
from jsplit.policies.base import (
    Policy,
    Selector,
    at_arm,
    best_arm,
    one_hot,
    per_lane,
)
from jsplit.policies.scaled import on_unit_rewards
from jsplit.policies.splitee import ALPHA, over_splits
from jsplit.types import Feedback, Now

# For 12 arms and T = 10,000 steps the proofs ask for sqrt(K ln K / ((e-1) T)) = 0.042
# in EXP3 and, for one change, sqrt(K (ln(K T) + e) / ((e-1) T)) = 0.10 in EXP3.S.
GAMMA = 0.05
GAMMA_S = 0.1
SHARE = 1e-4  # 1/T


class ExponentialWeights(Selector):
    """Draws arm j with chance p_j = (1 - gamma) w_j / sum(w) + gamma / K."""

    @abc.abstractmethod
    def weights(self, state: Any) -> Array:
        """Returns w, `[K, *lanes]`, up to a factor."""

    def chances(self, params: Any, state: Any) -> Array:
        """Returns p, `[K, *lanes]`."""
        weights = self.weights(state)
        total = weights.sum(0, keepdims=True)
        return (1 - params.gamma) * (weights / total) + params.gamma / len(weights)

    def select(self, params: Any, state: Any, key: Array, now: Now) -> Array:
        """Returns the arm at which the sum of the chances passes a uniform draw."""
        del now
        below = jnp.cumsum(self.chances(params, state), axis=0)
        uniform = per_lane(lambda key: jax.random.uniform(key, (), below.dtype), key)
        # The chances may add up to just below 1, and a draw may exceed their sum.
        passed = below > (uniform * below[-1])[None]
        return best_arm(passed)

    def gain(self, params: Any, state: Any, feedback: Feedback) -> Array:
        """Returns gamma / K * r / p of the played arm, `[1, *lanes]`."""
        chance = at_arm(self.chances(params, state), feedback.arm)
        num_arms = self.weights(state).shape[0]
        # An arm that was played without being drawn may have no chance at all.
        chance = jnp.maximum(chance, params.gamma / num_arms)
        share = feedback.reward / jnp.maximum(chance, jnp.finfo(chance.dtype).tiny)
        return (params.gamma / num_arms * share)[None]


class EXP3Params(NamedTuple):
    """Numbers of `EXP3`."""

    gamma: Array | float = GAMMA  # [] chance of a uniform draw, and the rate


class LogWeights(NamedTuple):
    """State of `EXP3`."""

    log: Array  # [K, *lanes] float: ln w minus its largest


@dataclasses.dataclass(frozen=True)
class EXP3(ExponentialWeights):
    """w_j <- w_j exp(gamma / K * r / p_j) for the played arm j, r its reward.

    Weights are kept as logarithms, the largest 0, so that no arm is lost to underflow.

    Reference:
        Auer, Cesa-Bianchi, Freund and Schapire, SIAM Journal on Computing 32, 2002,
        figure 1.
    """

    def default_params(self) -> EXP3Params:
        """Returns gamma = 0.05."""
        return EXP3Params()

    def init(
        self, params: EXP3Params, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> LogWeights:
        """Returns equal weights."""
        del params
        return LogWeights(jnp.zeros((num_arms, *lanes), jnp.result_type(float)))

    def weights(self, state: LogWeights) -> Array:
        """Returns the weights divided by the largest."""
        return jnp.exp(state.log)

    def update(
        self, params: EXP3Params, state: LogWeights, feedback: Feedback
    ) -> LogWeights:
        """Returns the logarithms after a gain of the played arm."""
        played = one_hot(feedback.arm, state.log.shape[0])
        log = state.log + jnp.where(played, self.gain(params, state, feedback), 0)
        return LogWeights(log - log.max(0, keepdims=True))


class EXP3SParams(NamedTuple):
    """Numbers of `EXP3S`."""

    gamma: Array | float = GAMMA_S  # [] chance of a uniform draw, and the rate
    share: Array | float = SHARE  # [] of the sum of weights, shared among the arms


class Weights(NamedTuple):
    """State of `EXP3S`."""

    weight: Array  # [K, *lanes] float: w, summing to 1


@dataclasses.dataclass(frozen=True)
class EXP3S(ExponentialWeights):
    """w_j <- w_j exp(gamma / K * r_j) + e share / K * sum(w) for every arm j.

    r_j is the reward over p_j for the played arm and 0 for the others. The share of the
    sum lets an arm come back after a change.

    Speed: 3 to 4 times UCB1's time per step, because every step takes a draw and a
    running sum over the arms.

    Reference:
        Auer, Cesa-Bianchi, Freund and Schapire, SIAM Journal on Computing 32, 2002,
        figure 4 (their alpha is `share`).
    """

    def default_params(self) -> EXP3SParams:
        """Returns gamma = 0.1 and share = 1e-4."""
        return EXP3SParams()

    def init(
        self, params: EXP3SParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> Weights:
        """Returns equal weights."""
        del params
        return Weights(
            jnp.full((num_arms, *lanes), 1 / num_arms, jnp.result_type(float))
        )

    def weights(self, state: Weights) -> Array:
        """Returns the weights."""
        return state.weight

    def update(
        self, params: EXP3SParams, state: Weights, feedback: Feedback
    ) -> Weights:
        """Returns the weights after a gain of the played arm and the sharing."""
        num_arms = state.weight.shape[0]
        played = one_hot(feedback.arm, num_arms)
        factor = jnp.where(played, jnp.exp(self.gain(params, state, feedback)), 1)
        # The weights sum to 1.
        weight = state.weight * factor + math.e * params.share / num_arms
        return Weights(weight / weight.sum(0, keepdims=True))


def exp3(*, alpha: float = ALPHA, gamma: float = GAMMA) -> Policy:
    """EXP3 over splits: exponential weights, for rewards that anything may choose.

    See `EXP3`; rewards are scaled to [0, 1] by the costs.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        gamma: chance in [0, 1] of a uniform draw, and the learning rate; published
            sqrt(K ln K / ((e-1) T)), 0.042 for K = 12 and T = 10,000.
    """
    params = EXP3Params(checks.number("gamma", gamma, 0.0, 1.0))
    return over_splits("exp3", *on_unit_rewards(EXP3(), params), alpha=alpha)


def exp3_s(
    *, alpha: float = ALPHA, gamma: float = GAMMA_S, share: float = SHARE
) -> Policy:
    """EXP3.S over splits: EXP3 that shares out some weight, to follow changes.

    See `EXP3S`; rewards are scaled to [0, 1] by the costs.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        gamma: chance in [0, 1] of a uniform draw, and the learning rate.
        share: e times this share of all weights is shared out equally at every step, in
            [0, 1]; published 1/T.
    """
    params = EXP3SParams(
        checks.number("gamma", gamma, 0.0, 1.0), checks.number("share", share, 0.0, 1.0)
    )
    return over_splits("exp3_s", *on_unit_rewards(EXP3S(), params), alpha=alpha)
