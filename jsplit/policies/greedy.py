"""The simplest learners: epsilon-greedy and explore-then-commit.

Here: selectors that only compare means, so the scale of the rewards does not matter.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit import checks
from jsplit.policies.base import Policy, Selector, best_arm, per_lane
from jsplit.policies.running import MeanStats, fold
from jsplit.policies.splitee import ALPHA, over_splits
from jsplit.types import Feedback, Now

EPSILON = 0.1
PLAYS = 20


class EpsilonParams(NamedTuple):
    """Numbers of `EpsilonGreedy`."""

    epsilon: Array | float = EPSILON  # [] chance of a random arm at t = 1
    decay: Array | float = 0.0  # [] epsilon_t falls like t^-decay


@dataclasses.dataclass(frozen=True)
class EpsilonGreedy(Selector):
    """A uniform arm with chance epsilon_t = min(1, epsilon t^-decay), else the best.

    The best arm has the largest mean, ties to the lowest, after one play of each.
    decay = 0 keeps epsilon constant. decay = 1 with epsilon = c K / d^2 is
    epsilon_n-greedy, whose regret is logarithmic if d is at most the smallest gap.

    Speed: 2 to 5 times UCB1's time per step, because every step takes two draws from
    a counter-based generator.

    Reference:
        Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002, figure 3.
    """

    @property
    def initial_plays(self) -> bool:
        """Every arm once: a mean needs at least one reward."""
        return True

    def default_params(self) -> EpsilonParams:
        """Returns a constant epsilon of 0.1."""
        return EpsilonParams()

    def init(
        self, params: EpsilonParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> MeanStats:
        """Returns the statistics before any reward."""
        del params
        return MeanStats.zeros(num_arms, lanes)

    def select(
        self, params: EpsilonParams, state: MeanStats, key: Array, now: Now
    ) -> Array:
        """Returns a random arm or the best one."""
        num_arms, dtype = state.mean.shape[0], state.mean.dtype
        coin, place = per_lane(lambda key: jax.random.uniform(key, (2,), dtype), key)
        epsilon = params.epsilon * now.t.astype(dtype) ** -params.decay
        # place < 1, but its product may be rounded up to K.
        anyone = jnp.minimum((place * num_arms).astype(jnp.int32), num_arms - 1)
        return jnp.where(coin < epsilon, anyone, best_arm(state.mean))

    def update(
        self, params: EpsilonParams, state: MeanStats, feedback: Feedback
    ) -> MeanStats:
        """Returns the means with the revealed rewards folded in."""
        del params
        return fold(state, feedback)


class CommitParams(NamedTuple):
    """Numbers of `ExploreThenCommit`."""

    plays: Array | int = PLAYS  # [] int32: plays of each arm before it commits


class CommitState(NamedTuple):
    """State of `ExploreThenCommit`."""

    stats: MeanStats  # of the exploration
    step: Array  # [] int32: steps so far


@dataclasses.dataclass(frozen=True)
class ExploreThenCommit(Selector):
    """Plays the arms in turn `plays` times, then the best of them for ever.

    The best has the largest mean over the exploration, ties to the lowest. Nothing is
    learned after it, so a shift goes unnoticed.

    Reference:
        Lattimore and Szepesvari, Bandit Algorithms, 2020, algorithm 1.
    """

    def default_params(self) -> CommitParams:
        """Returns 20 plays of each arm."""
        return CommitParams()

    def init(
        self, params: CommitParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> CommitState:
        """Returns the statistics before any reward."""
        del params
        return CommitState(MeanStats.zeros(num_arms, lanes), jnp.int32(0))

    def select(
        self, params: CommitParams, state: CommitState, key: Array, now: Now
    ) -> Array:
        """Returns the next arm in turn, or the best one."""
        del key, now
        turn = state.step % state.stats.mean.shape[0]
        return jnp.where(
            self._explores(params, state), turn, best_arm(state.stats.mean)
        )

    def update(
        self, params: CommitParams, state: CommitState, feedback: Feedback
    ) -> CommitState:
        """Returns the means with the revealed rewards folded in, while exploring."""
        explores = self._explores(params, state)
        stats = jax.tree.map(
            lambda new, old: jnp.where(explores, new, old),
            fold(state.stats, feedback),
            state.stats,
        )
        return CommitState(stats, state.step + 1)

    def _explores(self, params: CommitParams, state: CommitState) -> Array:
        return state.step < params.plays * state.stats.mean.shape[0]


def epsilon_greedy(
    *, alpha: float = ALPHA, epsilon: float = EPSILON, decay: float = 0.0
) -> Policy:
    """Epsilon-greedy over splits: the best so far, or now and then a random one.

    See `EpsilonGreedy`.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        epsilon: chance of a random split at t = 1, >= 0. Above 1 the chance stays 1
            until it has decayed below.
        decay: epsilon_t falls like t^-decay, >= 0; 0 = constant, 1 = as published.
    """
    params = EpsilonParams(
        checks.moderate("epsilon", epsilon), checks.moderate("decay", decay)
    )
    return over_splits("epsilon_greedy", EpsilonGreedy(), params, alpha=alpha)


def explore_then_commit(*, alpha: float = ALPHA, plays: int = PLAYS) -> Policy:
    """Explore-then-commit over splits: each a few times, then the best for ever.

    See `ExploreThenCommit`.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        plays: plays of each split before it commits, 1..100,000.
    """
    params = CommitParams(checks.integer("plays", plays, 1, 100_000))
    return over_splits("explore_then_commit", ExploreThenCommit(), params, alpha=alpha)
