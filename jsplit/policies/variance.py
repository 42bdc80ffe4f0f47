"""Variance-aware indices: UCB-V and UCB-Tuned.

Here: two indices over running means and variances, for rewards in [0, 1]. An arm whose
reward hardly varies gets a smaller bonus.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jsplit import checks
from jsplit.policies.base import NoParams, Policy
from jsplit.policies.index import IndexSelector
from jsplit.policies.running import MomentStats
from jsplit.policies.scaled import on_unit_rewards
from jsplit.policies.splitee import ALPHA, over_splits


class VarianceSelector(IndexSelector):
    """An index selector that also keeps the variance of every arm."""

    def init(
        self, params: NamedTuple, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> MomentStats:
        """Returns the statistics before any reward."""
        del params
        return MomentStats.zeros(num_arms, lanes)


class UCBVParams(NamedTuple):
    """Numbers of `UCBV`."""

    zeta: Array | float = 1.0  # [] exploration
    c: Array | float = 1.0  # [] weight of the term for unseen variance


@dataclasses.dataclass(frozen=True)
class UCBV(VarianceSelector):
    """index_j = mean_j + sqrt(2 V_j E / n_j) + 3 c E / n_j, E = zeta ln t.

    V_j is the variance of the n_j rewards (divided by n_j), which are in [0, 1].

    Reference:
        Audibert, Munos and Szepesvari, Theoretical Computer Science 410, 2009,
        section 3.
    """

    def default_params(self) -> UCBVParams:
        """Returns zeta = c = 1."""
        return UCBVParams()

    def index(self, params: UCBVParams, stats: MomentStats, t: Array) -> Array:
        """Returns the mean plus the two terms of Bernstein's inequality."""
        explore = params.zeta * jnp.log(t.astype(stats.mean.dtype))
        bonus = jnp.sqrt(2 * explore * stats.variance)
        linear = 3 * params.c * explore * stats.inverse_sqrt
        return stats.mean + (bonus + linear) * stats.inverse_sqrt


@dataclasses.dataclass(frozen=True)
class UCBTuned(VarianceSelector):
    """index_j = mean_j + sqrt((ln t / n_j) min(1/4, V_j + sqrt(2 ln t / n_j))).

    1/4 is the largest variance of a reward in [0, 1]. No regret bound is proved.

    Reference:
        Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002, section 4.
    """

    def default_params(self) -> NoParams:
        """Returns no numbers."""
        return NoParams()

    def index(self, params: NoParams, stats: MomentStats, t: Array) -> Array:
        """Returns the mean plus a bonus for an upper bound of the variance."""
        del params
        root = jnp.sqrt(jnp.log(t.astype(stats.mean.dtype))) * stats.inverse_sqrt
        variance = jnp.minimum(0.25, stats.variance + jnp.sqrt(2.0) * root)
        return stats.mean + root * jnp.sqrt(variance)


def ucb_v(*, alpha: float = ALPHA, zeta: float = 1.0, c: float = 1.0) -> Policy:
    """UCB-V over splits: the bonus shrinks with the variance of a split's reward.

    See `UCBV`; rewards are scaled to [0, 1] by the costs.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        zeta: exploration, >= 0; published above 1 for the proofs, 1 in practice.
        c: weight of the term for unseen variance, >= 0; published 1.
    """
    numbers = (checks.moderate("zeta", zeta), checks.moderate("c", c))
    inside = on_unit_rewards(UCBV(), UCBVParams(*numbers))
    return over_splits("ucb_v", *inside, alpha=alpha)


def ucb_tuned(*, alpha: float = ALPHA) -> Policy:
    """UCB-Tuned over splits: UCB1 with an upper bound of the variance in its bonus.

    See `UCBTuned`; rewards are scaled to [0, 1] by the costs.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
    """
    inside = on_unit_rewards(UCBTuned(), NoParams())
    return over_splits("ucb_tuned", *inside, alpha=alpha)
