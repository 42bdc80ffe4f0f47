"""Index policies: play the arm with the largest mean plus bonus.

Here: what index policies share, and the UCB index of UCB1 and SplitEE. A new index is
one function, `IndexSelector.index`.
"""

import abc
import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jsplit.policies.base import Selector, best_arm
from jsplit.policies.running import MeanStats, fold
from jsplit.types import Feedback, Now


class IndexSelector(Selector):
    """Plays argmax_j index_j, ties to the lowest arm, after one play of every arm."""

    @property
    def initial_plays(self) -> bool:
        """Every arm once: an index needs at least one reward."""
        return True

    @abc.abstractmethod
    def index(self, params: Any, stats: Any, t: Array) -> Array:
        """Returns the index of every arm, `[K, *lanes]`.

        Args:
            params: numbers of the selector.
            stats: statistics of the rewards so far.
            t: [] int32, the 1-based round.
        """

    def init(self, params: Any, num_arms: int, lanes: tuple[int, ...] = ()) -> Any:
        """Returns the statistics before any reward."""
        del params
        return MeanStats.zeros(num_arms, lanes)

    def select(self, params: Any, state: Any, key: Array, now: Now) -> Array:
        """Returns the arm with the largest index."""
        del key
        return best_arm(self.index(params, state, now.t))

    def update(self, params: Any, state: Any, feedback: Feedback) -> Any:
        """Returns the statistics with the revealed rewards folded in."""
        del params
        return fold(state, feedback)


class UCBParams(NamedTuple):
    """Numbers of `UCB`."""

    beta: Array | float  # [] exploration: 1 in SplitEE, sqrt(2) in UCB1


@dataclasses.dataclass(frozen=True)
class UCB(IndexSelector):
    """index_j = mean_j + beta * sqrt(ln t / known_j), t the 1-based round.

    known_j is the number of rewards of arm j. beta is 1 in SplitEE, and sqrt(2) in UCB1
    for rewards in [0, 1].

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
