"""Rewards brought to [0, 1], for selectors whose formulas assume it.

Here: a selector around another one. SplitEE's UCB goes without, under every name it
has (SplitEE-S, I-SplitEE, over thresholds, conditions and routes): it is published on
rewards as they are, with beta = 1 for any costs. So does LinUCB, whose regression
shrinks towards a reward of 0.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jsplit.policies.base import Selector
from jsplit.types import Facts, Feedback, Now, Protocol, Range


class UnitParams(NamedTuple):
    """Numbers of `UnitRewards`."""

    inner: Any  # the numbers of the selector inside
    rewards: Range = Range(0.0, 1.0)  # set by `evaluate`, from costs and plans


@dataclasses.dataclass(frozen=True)
class UnitRewards(Selector):
    """Shows the selector inside (reward - low) / (high - low).

    [low, high] holds every reward that the plans can have at their costs, so a bonus
    "for rewards in [0, 1]" means the same on every network: a formula with reward range
    b is used with b = 1.

    Attributes:
        selector: the selector inside, written for rewards in [0, 1].
    """

    selector: Selector

    @property
    def initial_plays(self) -> bool:
        """As the selector inside."""
        return self.selector.initial_plays

    def default_params(self) -> UnitParams:
        """Returns the published numbers of the selector inside, range [0, 1]."""
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
        low, high = params.rewards

        def unit(reward: Array) -> Array:
            # Clipped because a reward at an end may be rounded to just beyond it.
            return jnp.clip((reward - low) / (high - low), 0, 1)

        rewards = None if feedback.rewards is None else unit(feedback.rewards)
        seen = feedback._replace(reward=unit(feedback.reward), rewards=rewards)
        return self.selector.update(params.inner, state, seen)

    def informed(self, params: UnitParams, facts: Facts) -> UnitParams:
        """Returns the numbers with the range of the rewards."""
        inner = self.selector.informed(params.inner, facts)
        return UnitParams(inner, facts.rewards)

    def over_contexts(self, num_contexts: int) -> "UnitRewards":
        """Returns the selector for so many contexts."""
        return UnitRewards(self.selector.over_contexts(num_contexts))

    def under(self, protocol: Protocol) -> "UnitRewards":
        """Returns the selector that a protocol's switches ask for."""
        return UnitRewards(self.selector.under(protocol))


def on_unit_rewards(selector: Selector, params: Any) -> tuple[UnitRewards, UnitParams]:
    """Returns a selector for rewards in [0, 1] made fit for any, and its numbers."""
    return UnitRewards(selector), UnitParams(params)
