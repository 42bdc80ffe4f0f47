"""Running statistics of the rewards of K arms, and how a step is folded into them.

Here: means and variances in one pass. Not here: the selectors that use them (the files
beside this).
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from jsplit.pairs import Pair, mean_with
from jsplit.policies.base import at_arm, one_hot
from jsplit.types import Feedback


class MeanStats(NamedTuple):
    """Running means of the rewards of K arms.

    A mean is a pair: float32 alone stops moving once a step is below half its last bit,
    and then frequent small steps are lost while rare large ones stay.
    """

    mean: Array  # [K, *lanes] float
    known: Array  # [K, *lanes] float: number of rewards that became known
    inverse_sqrt: Array  # [K, *lanes] float: 1/sqrt(known), 0 before the first
    mean_rest: Array  # [K, *lanes] float: what `mean` lacks, below its last bit

    @classmethod
    def zeros(cls, num_arms: int, lanes: tuple[int, ...]) -> "MeanStats":
        """Returns the statistics of no rewards."""
        zeros = jnp.zeros((num_arms, *lanes), jnp.result_type(float))
        return cls(zeros, zeros, zeros, zeros)

    def add(self, reward: Array) -> "MeanStats":
        """Returns the statistics with one reward more for every arm in them."""
        known = self.known + 1
        mean, rest = mean_with(Pair(self.mean, self.mean_rest), reward, known)
        return MeanStats(mean, known, jnp.sqrt(1 / known), rest)


class MomentStats(NamedTuple):
    """Running means and variances of the rewards of K arms, by Welford's recursion.

    Both are pairs, see `MeanStats`.
    """

    mean: Array  # [K, *lanes] float
    known: Array  # [K, *lanes] float: number of rewards that became known
    inverse_sqrt: Array  # [K, *lanes] float: 1/sqrt(known), 0 before the first
    variance: Array  # [K, *lanes] float: mean squared deviation (divided by known)
    mean_rest: Array  # [K, *lanes] float: what `mean` lacks, below its last bit
    variance_rest: Array  # [K, *lanes] float: what `variance` lacks

    @classmethod
    def zeros(cls, num_arms: int, lanes: tuple[int, ...]) -> "MomentStats":
        """Returns the statistics of no rewards."""
        zeros = jnp.zeros((num_arms, *lanes), jnp.result_type(float))
        return cls(*[zeros] * 6)

    def add(self, reward: Array) -> "MomentStats":
        """Returns the statistics with one reward more for every arm in them."""
        known = self.known + 1
        mean, mean_rest = mean_with(Pair(self.mean, self.mean_rest), reward, known)
        square = (reward - self.mean) * (reward - mean)
        variance, variance_rest = mean_with(
            Pair(self.variance, self.variance_rest), square, known
        )
        return MomentStats(
            mean, known, jnp.sqrt(1 / known), variance, mean_rest, variance_rest
        )


class Stats(Protocol):
    """A NamedTuple of statistics that take one reward at a time, elementwise."""

    @property
    def add(self) -> Callable[..., "Stats"]:
        """Returns the statistics with one reward more for every arm in them."""
        ...


AnyStats = TypeVar("AnyStats", bound=Stats)


def known_rewards(feedback: Feedback, num_arms: int) -> tuple[Array, Array]:
    """Returns which arms' rewards became known, `[K, *lanes]` bool, and the rewards.

    The rewards are `[K, *lanes]`, or `[1, *lanes]` if only the played arm's is known.
    """
    if feedback.rewards is None or feedback.revealed is None:
        return one_hot(feedback.arm, num_arms), feedback.reward[None]
    return feedback.revealed, feedback.rewards


def fold(stats: AnyStats, feedback: Feedback, *beside: Array) -> AnyStats:
    """Returns `stats` with every known reward in `feedback` folded in.

    What their `add` takes beside a reward, `[1, *lanes]`, is handed on.
    """
    num_arms = jax.tree.leaves(stats)[0].shape[0]
    known, rewards = known_rewards(feedback, num_arms)

    def keep(after: Stats, stats: AnyStats) -> AnyStats:
        return jax.tree.map(lambda new, old: jnp.where(known, new, old), after, stats)

    def of_all_arms(stats: AnyStats) -> AnyStats:
        return keep(stats.add(rewards, *beside), stats)

    def of_played_arm(stats: AnyStats) -> AnyStats:
        own = jax.tree.map(lambda leaf: at_arm(leaf, feedback.arm)[None], stats)
        return keep(own.add(rewards, *beside), stats)

    if rewards.shape[0] == num_arms:
        return of_all_arms(stats)
    # On a CPU divisions for all arms would cost more than gathers of the played one.
    # Elsewhere arithmetic is free, and what reads other cells than it writes cannot
    # write in place: XLA would copy the state at every step.
    return lax.platform_dependent(stats, cpu=of_played_arm, default=of_all_arms)
