"""Index policies: play the arm with the largest mean plus bonus.

Here: UCB1 and SplitEE's UCB, over running means of the revealed rewards. A new index is
one function `index(params, stats, t) -> [K, *lanes]`.
"""

import abc
import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jsplit.policies.base import Selector, at_arm, one_hot
from jsplit.types import Feedback


class MeanStats(NamedTuple):
    """Running means of the rewards of K arms."""

    mean: Array  # [K, *lanes] float
    known: Array  # [K, *lanes] float: how many rewards of the arm became known
    inverse_sqrt: Array  # [K, *lanes] float: 1/sqrt(known), 0 before the first


class IndexSelector(Selector):
    """Plays argmax_j index_j, ties to the lowest arm, after one play of every arm."""

    @property
    def initial_plays(self) -> bool:
        """Every arm once: an index needs at least one reward."""
        return True

    @abc.abstractmethod
    def index(self, params: Any, stats: MeanStats, t: Array) -> Array:
        """Returns the index of every arm at round t, `[K, *lanes]`."""

    def init(
        self, params: Any, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> MeanStats:
        """Returns zero counts."""
        del params
        zeros = jnp.zeros((num_arms, *lanes), jnp.result_type(float))
        return MeanStats(zeros, zeros, zeros)

    def select(self, params: Any, state: MeanStats, key: Array, t: Array) -> Array:
        """Returns the arm with the largest index."""
        del key
        return jnp.argmax(self.index(params, state, t), axis=0).astype(jnp.int32)

    def update(self, params: Any, state: MeanStats, feedback: Feedback) -> MeanStats:
        """Returns the means with the revealed rewards folded in."""
        del params
        if feedback.rewards is None or feedback.revealed is None:
            # Divisions for the played arm alone; then one masked write.
            played = one_hot(feedback.arm, state.mean.shape[0])
            count = at_arm(state.known, feedback.arm) + 1
            mean = at_arm(state.mean, feedback.arm)
            mean = mean + (feedback.reward - mean) / count
            return MeanStats(
                jnp.where(played, mean, state.mean),
                jnp.where(played, count, state.known),
                jnp.where(played, jnp.sqrt(1 / count), state.inverse_sqrt),
            )
        count = state.known + 1
        mean = state.mean + (feedback.rewards - state.mean) / count
        return MeanStats(
            jnp.where(feedback.revealed, mean, state.mean),
            jnp.where(feedback.revealed, count, state.known),
            jnp.where(feedback.revealed, jnp.sqrt(1 / count), state.inverse_sqrt),
        )


class UCBParams(NamedTuple):
    """Numbers of `UCB`."""

    beta: Array | float  # [] exploration: 1 in SplitEE, sqrt(2) in UCB1


@dataclasses.dataclass(frozen=True)
class UCB(IndexSelector):
    """index_j = mean_j + beta * sqrt(ln t / known_j), t the 1-based round.

    beta = 1 is SplitEE's, sqrt(2) is UCB1's for rewards in [0, 1].

    Reference:
        Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002, figure 1;
        Bajpai et al., SplitEE, arXiv 2309.09195, algorithm 1.
    """

    def default_params(self) -> UCBParams:
        """Returns SplitEE's beta = 1."""
        return UCBParams(1.0)

    def index(self, params: UCBParams, stats: MeanStats, t: Array) -> Array:
        """Returns mean + beta sqrt(ln t) / sqrt(known)."""
        bonus = params.beta * jnp.sqrt(jnp.log(t.astype(stats.mean.dtype)))
        return stats.mean + bonus * stats.inverse_sqrt
