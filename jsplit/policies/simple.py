"""Selectors that do not learn: one plan, the plan a context names, a uniform draw.

Here: `Always` for policies with one plan, `Follow` for policies whose context is the
plan to play, `Uniform` for random exits.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit.policies.base import NoParams, Selector, context_of, per_lane
from jsplit.types import Feedback, Now, Protocol


class Lanes(NamedTuple):
    """State of a selector without memory: the shape of its lanes."""

    arm: Array  # [*lanes] int32


class Unlearning(Selector):
    """A selector without memory, numbers or feedback."""

    def default_params(self) -> NoParams:
        """Returns no numbers."""
        return NoParams()

    def init(
        self, params: NoParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> Lanes:
        """Returns arm 0."""
        del params, num_arms
        return Lanes(jnp.zeros(lanes, jnp.int32))

    def update(self, params: NoParams, state: Lanes, feedback: Feedback) -> Lanes:
        """Returns the state as it was."""
        del params, feedback
        return state


@dataclasses.dataclass(frozen=True)
class Always(Unlearning):
    """Plays arm 0, for policies that have one plan."""

    def select(self, params: NoParams, state: Lanes, key: Array, now: Now) -> Array:
        """Returns arm 0."""
        del params, key, now
        return state.arm


@dataclasses.dataclass(frozen=True)
class Follow(Unlearning):
    """Plays the arm that the context names."""

    def select(self, params: NoParams, state: Lanes, key: Array, now: Now) -> Array:
        """Returns the context."""
        del params, state, key
        return context_of(now)


class UniformState(NamedTuple):
    """State of `Uniform`."""

    arm: Array  # [*lanes] int32: the last draw
    started: Array  # [*lanes] bool; True = at least one arm was drawn
    num_arms: Array  # [] int32


@dataclasses.dataclass(frozen=True)
class Uniform(Selector):
    """Plays an arm drawn uniformly, at every step or once per run.

    Speed: 3 to 4 times UCB1's time per step, because every step takes a draw from a
    counter-based generator.

    Attributes:
        per_run: True = one arm for a whole stream, as in the "Random" baseline of the
            released SplitEE code.
    """

    per_run: bool = False

    def default_params(self) -> NoParams:
        """Returns no numbers."""
        return NoParams()

    def init(
        self, params: NoParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> UniformState:
        """Returns the state before any draw."""
        del params
        return UniformState(
            jnp.zeros(lanes, jnp.int32), jnp.zeros(lanes, bool), jnp.int32(num_arms)
        )

    def select(
        self, params: NoParams, state: UniformState, key: Array, now: Now
    ) -> Array:
        """Returns a uniform draw, or the arm of the first step again."""
        del params, now

        def draw(key: Array) -> Array:
            return jax.random.randint(key, (), 0, state.num_arms, jnp.int32)

        arm = per_lane(draw, key)
        return jnp.where(state.started, state.arm, arm) if self.per_run else arm

    def update(
        self, params: NoParams, state: UniformState, feedback: Feedback
    ) -> UniformState:
        """Returns the state with the arm that was played."""
        del params
        return UniformState(feedback.arm, jnp.ones_like(state.started), state.num_arms)

    def under(self, protocol: Protocol) -> "Uniform":
        """Returns the selector that draws as often as the protocol says."""
        return dataclasses.replace(self, per_run=protocol.random_arm == "per_run")
