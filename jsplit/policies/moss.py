"""MOSS-anytime: no bonus for an arm that had more than its share of the rounds."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jsplit import checks
from jsplit.policies.base import Policy
from jsplit.policies.index import IndexSelector
from jsplit.policies.running import MeanStats
from jsplit.policies.scaled import on_unit_rewards
from jsplit.policies.splitee import ALPHA, over_splits

A = 1.35  # the value recommended in the paper


class MOSSParams(NamedTuple):
    """Numbers of `MOSS`."""

    a: Array | float = A  # [] exploration


@dataclasses.dataclass(frozen=True)
class MOSS(IndexSelector):
    """index_j = mean_j + sqrt((1 + a)/2 * max(0, ln(t / (K n_j))) / n_j).

    For rewards in [0, 1]. Minimax optimal for any horizon, which it need not know.

    Reference:
        Degenne and Perchet, ICML 2016, Anytime optimal algorithms in stochastic
        multi-armed bandits, algorithm 1 (MOSS-anytime).
    """

    def default_params(self) -> MOSSParams:
        """Returns a = 1.35."""
        return MOSSParams()

    def index(self, params: MOSSParams, stats: MeanStats, t: Array) -> Array:
        """Returns the mean plus the bonus."""
        num_arms = stats.mean.shape[0]
        share = t.astype(stats.mean.dtype) / num_arms
        log = jnp.log(jnp.maximum(share * stats.inverse_sqrt**2, 1))
        return stats.mean + jnp.sqrt((1 + params.a) / 2 * log) * stats.inverse_sqrt


def moss(*, alpha: float = ALPHA, a: float = A) -> Policy:
    """MOSS-anytime over splits: no bonus for a split played more often than t / K.

    See `MOSS`; rewards are scaled to [0, 1] by the costs.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        a: exploration, >= 0; published 1.35.
    """
    inside = on_unit_rewards(MOSS(), MOSSParams(checks.moderate("a", a)))
    return over_splits("moss", *inside, alpha=alpha)
