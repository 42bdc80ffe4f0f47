"""Rewards brought to [0, 1], for selectors whose formulas assume it.

Here: a selector around another one. Two selectors learn from rewards as they are:

- SplitEE's UCB, in all its policies (SplitEE-S, I-SplitEE, over thresholds, conditions
  and routes). It is published on raw rewards, with beta = 1 for any costs.
- LinUCB, whose regression shrinks towards a reward of 0.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jsplit.policies.base import Selector
from jsplit.types import Feedback, Now, Prior, Protocol, RewardRange


class UnitParams(NamedTuple):
    """Numbers of `UnitRewards`."""

    inner: Any  # numbers of the selector inside
    reward_range: RewardRange = RewardRange(0.0, 1.0)  # `evaluate` sets it


@dataclasses.dataclass(frozen=True)
class UnitRewards(Selector):
    """Gives the selector inside (reward - low) / (high - low) as its reward.

    [low, high] is the reward range: it holds every reward that the plans can have at
    their costs. So a bonus for rewards in [0, 1] means the same on every network. A
    formula with the length b of the reward range is used with b = 1.

    Attributes:
        selector: the selector inside, written for rewards in [0, 1].
    """

    selector: Selector

    @property
    def initial_plays(self) -> bool:
        """Whether the selector inside asks for them."""
        return self.selector.initial_plays

    def default_params(self) -> UnitParams:
        """Returns the numbers of the selector inside, and the reward range [0, 1]."""
        return UnitParams(self.selector.default_params())

    def init(
        self, params: UnitParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> Any:
        """Returns the state of the selector inside."""
        return self.selector.init(params.inner, num_arms, lanes)

    def select(self, params: UnitParams, state: Any, key: Array, now: Now) -> Array:
        """Returns the arm that the selector inside picks."""
        return self.selector.select(params.inner, state, key, now)

    def update(self, params: UnitParams, state: Any, feedback: Feedback) -> Any:
        """Returns the state after the scaled rewards."""
        low, high = params.reward_range

        def unit(reward: Array) -> Array:
            # Clipped because a reward at an end may be rounded to just beyond it.
            return jnp.clip((reward - low) / (high - low), 0, 1)

        rewards = None if feedback.rewards is None else unit(feedback.rewards)
        seen = feedback._replace(reward=unit(feedback.reward), rewards=rewards)
        return self.selector.update(params.inner, state, seen)

    def with_prior(self, params: UnitParams, prior: Prior) -> UnitParams:
        """Returns the numbers with the reward range."""
        inner = self.selector.with_prior(params.inner, prior)
        return UnitParams(inner, prior.reward_range)

    def over_contexts(self, num_contexts: int) -> "UnitRewards":
        """Returns the selector around one for so many contexts."""
        return UnitRewards(self.selector.over_contexts(num_contexts))

    def under(self, protocol: Protocol) -> "UnitRewards":
        """Returns the selector around one that follows the protocol."""
        return UnitRewards(self.selector.under(protocol))


def on_unit_rewards(selector: Selector, params: Any) -> tuple[UnitRewards, UnitParams]:
    """Returns a selector for rewards in [0, 1] made fit for any, and its numbers."""
    return UnitRewards(selector), UnitParams(params)
