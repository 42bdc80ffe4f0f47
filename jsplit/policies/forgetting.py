"""Indices that forget: discounted UCB and sliding-window UCB, for rewards in [0, 1].

Here: selectors for rewards that drift all the time. Not here: selectors that detect
jumps (`change`).
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jsplit import checks
from jsplit.policies.base import Policy, Selector, best_arm, one_hot
from jsplit.policies.running import known_rewards
from jsplit.policies.scaled import on_unit_rewards
from jsplit.policies.splitee import ALPHA, over_splits
from jsplit.types import Feedback, Now

XI = 0.6  # the proofs ask for more than 1/2
# The paper's simulations, for T = 10,000 steps: gamma = 1 - 1/(4 sqrt(T)); its window,
# 4 sqrt(T ln T) = 1,214, is rounded here.
GAMMA = 0.9975
WINDOW = 1_200


class DiscountedParams(NamedTuple):
    """Numbers of `DiscountedUCB`."""

    gamma: Array | float = GAMMA  # [] factor on a reward's weight at every step
    xi: Array | float = XI  # [] exploration


class WeightedStats(NamedTuple):
    """Weighted sums of the rewards of K arms."""

    total: Array  # [K, *lanes] float: sum of weight times reward
    weight: Array  # [K, *lanes] float: sum of weights


@dataclasses.dataclass(frozen=True)
class DiscountedUCB(Selector):
    """index_j = mean_j + 2 sqrt(xi ln n / N_j), all discounted by gamma per step.

    N_j = sum over past plays s of arm j of gamma^(t - s), mean_j the mean with the same
    weights, n = sum_j N_j.

    In float32 a mean is wrong by at most about 6e-8 / (1 - gamma): 2e-5 for 0.9975, but
    0.6 % for 0.99999. Use float64 for such memories.

    Reference:
        Garivier and Moulines, ALT 2011, arXiv 0805.3415, algorithm 1.
    """

    @property
    def initial_plays(self) -> bool:
        """Every arm once: an index needs at least one reward."""
        return True

    def default_params(self) -> DiscountedParams:
        """Returns gamma = 0.9975 and xi = 0.6."""
        return DiscountedParams()

    def init(
        self, params: DiscountedParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> WeightedStats:
        """Returns zero weights."""
        del params
        zeros = jnp.zeros((num_arms, *lanes), jnp.result_type(float))
        return WeightedStats(zeros, zeros)

    def select(
        self, params: DiscountedParams, state: WeightedStats, key: Array, now: Now
    ) -> Array:
        """Returns the arm with the largest index."""
        del key, now
        log = jnp.log(jnp.maximum(state.weight.sum(0, keepdims=True), 1))
        # An arm so long forgotten that nothing is left gets a huge bonus.
        inverse = 1 / jnp.maximum(state.weight, jnp.finfo(state.weight.dtype).tiny)
        bonus = 2 * jnp.sqrt(params.xi * log) * jnp.sqrt(inverse)
        return best_arm(state.total * inverse + bonus)

    def update(
        self, params: DiscountedParams, state: WeightedStats, feedback: Feedback
    ) -> WeightedStats:
        """Returns the sums discounted once more, with the revealed rewards added."""
        known, rewards = known_rewards(feedback, state.total.shape[0])
        return WeightedStats(
            params.gamma * state.total + jnp.where(known, rewards, 0),
            params.gamma * state.weight + known.astype(state.weight.dtype),
        )


class WindowParams(NamedTuple):
    """Numbers of `SlidingWindowUCB`."""

    xi: Array | float = XI  # [] exploration


class WindowState(NamedTuple):
    """What happened in the last W steps."""

    total: Array  # [K, *lanes] float: sum of the rewards in the window
    known: Array  # [K, *lanes] float: plays in the window
    arms: Array  # [W, *lanes] int32: arm of step s in row s mod W, -1 before step 0
    rewards: Array  # [W, *lanes] float: reward of step s in row s mod W
    # What leaves the window at the next step. Read after the window is written: XLA
    # would copy a window that is read and then overwritten, at every step.
    old_arm: Array  # [*lanes] int32
    old_reward: Array  # [*lanes] float
    step: Array  # [] int32: steps so far


@dataclasses.dataclass(frozen=True)
class SlidingWindowUCB(Selector):
    """index_j = mean_j + sqrt(xi ln min(t, W) / N_j) over the last W steps.

    An arm without a play in the window is played at once. The selector learns from the
    played arm alone: side information would put K rewards a step in the window. Sums
    are running, so rounding errors of float32 add up, to the order of
    1e-6 W sqrt(T) / 100 over T steps. The sum of an arm is set to zero, and its error
    with it, when its last play leaves the window.

    Attributes:
        window: steps W, >= 1; structure, so another number compiles again.

    Reference:
        Garivier and Moulines, ALT 2011, arXiv 0805.3415, algorithm 2.
    """

    window: int = WINDOW

    @property
    def initial_plays(self) -> bool:
        """Every arm once: an index needs at least one reward."""
        return True

    def default_params(self) -> WindowParams:
        """Returns xi = 0.6."""
        return WindowParams()

    def init(
        self, params: WindowParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> WindowState:
        """Returns an empty window."""
        del params
        dtype = jnp.result_type(float)
        zeros = jnp.zeros((num_arms, *lanes), dtype)
        return WindowState(
            zeros,
            zeros,
            jnp.full((self.window, *lanes), -1, jnp.int32),
            jnp.zeros((self.window, *lanes), dtype),
            jnp.full(lanes, -1, jnp.int32),
            jnp.zeros(lanes, dtype),
            jnp.int32(0),
        )

    def select(
        self, params: WindowParams, state: WindowState, key: Array, now: Now
    ) -> Array:
        """Returns the arm with the largest index."""
        del key
        log = jnp.log(jnp.minimum(now.t, self.window).astype(state.total.dtype))
        inverse = 1 / jnp.maximum(state.known, 1)
        index = state.total * inverse + jnp.sqrt(params.xi * log * inverse)
        return best_arm(jnp.where(state.known > 0, index, jnp.inf))

    def update(
        self, params: WindowParams, state: WindowState, feedback: Feedback
    ) -> WindowState:
        """Returns the window moved on by one step."""
        del params
        num_arms, row = state.total.shape[0], state.step % self.window
        enters = one_hot(feedback.arm, num_arms).astype(state.known.dtype)
        leaves = one_hot(state.old_arm, num_arms).astype(state.known.dtype)
        known = state.known + enters - leaves
        gain = enters * feedback.reward[None] - leaves * state.old_reward[None]
        arms = lax.dynamic_update_index_in_dim(state.arms, feedback.arm, row, 0)
        rewards = lax.dynamic_update_index_in_dim(
            state.rewards, feedback.reward, row, 0
        )
        step = state.step + 1
        return WindowState(
            jnp.where(known > 0, state.total + gain, 0),
            known,
            arms,
            rewards,
            arms[step % self.window],
            rewards[step % self.window],
            step,
        )


def discounted_ucb(
    *, alpha: float = ALPHA, gamma: float = GAMMA, xi: float = XI
) -> Policy:
    """Discounted UCB over splits: rewards lose weight with every step.

    See `DiscountedUCB`; rewards are scaled to [0, 1] by the costs.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        gamma: factor in [0, 1] on a reward's weight at every step; published
            1 - 1/(4 sqrt(T)), which is 0.9975 for T = 10,000.
        xi: exploration, >= 0; published more than 1/2.
    """
    params = DiscountedParams(
        checks.number("gamma", gamma, 0.0, 1.0), checks.moderate("xi", xi)
    )
    inside = on_unit_rewards(DiscountedUCB(), params)
    return over_splits("discounted_ucb", *inside, alpha=alpha)


def sliding_window_ucb(
    *, alpha: float = ALPHA, window: int = WINDOW, xi: float = XI
) -> Policy:
    """Sliding-window UCB over splits: only the last `window` steps count.

    See `SlidingWindowUCB`; rewards are scaled to [0, 1] by the costs.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        window: steps, >= 1; published 4 sqrt(T ln T), which is 1,214 for T = 10,000;
            structure, so another number compiles again.
        xi: exploration, >= 0; published more than 1/2.
    """
    selector = SlidingWindowUCB(checks.integer("window", window, 1))
    inside = on_unit_rewards(selector, WindowParams(checks.moderate("xi", xi)))
    return over_splits("sliding_window_ucb", *inside, alpha=alpha)
