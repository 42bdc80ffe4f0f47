"""Contextual bandits: UCB for each condition, LinUCB, I-SplitEE.

Here: selectors that observe a context, such as the state of a link or a known
distortion. Not here: selectors that must detect a change themselves (`forgetting`,
`change`).
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsplit import checks, pairs
from jsplit.pairs import Pair
from jsplit.policies import plans
from jsplit.policies.base import Policy, Selector, best_arm, context_of
from jsplit.policies.index import UCBParams
from jsplit.policies.running import MeanStats, fold
from jsplit.policies.splitee import ALPHA, over_splits
from jsplit.types import Context, Feedback, Now, Plan, Prior, Protocol

MASKED_CONTEXTS = 8
ISPLITEE_ALPHA = 0.5  # I-SplitEE's released code
CONDITION = Context("condition")


def in_context(tree: Any, context: Array) -> Any:
    """Returns leaves `[contexts, ..., *lanes]` at each lane's context, `[..., *lanes]`.

    Few contexts are picked by masks, which vectorise where a gather does not.
    """

    def at(leaf: Array) -> Array:
        axes = tuple(range(leaf.ndim - context.ndim))
        index = jnp.expand_dims(context, axes)
        if leaf.shape[0] <= MASKED_CONTEXTS:
            found = leaf[0]
            for number in range(1, leaf.shape[0]):
                found = jnp.where(index[0] == number, leaf[number], found)
            return found
        return jnp.take_along_axis(leaf, index, axis=0, mode="promise_in_bounds")[0]

    return jax.tree.map(at, tree)


def put_context(tree: Any, values: Any, context: Array) -> Any:
    """Returns `tree` with `values` `[..., *lanes]` at every lane's context."""

    def put(leaf: Array, value: Array) -> Array:
        axes = tuple(range(leaf.ndim - context.ndim))
        here = jnp.arange(leaf.shape[0], dtype=context.dtype).reshape(
            -1, *[1] * (leaf.ndim - 1)
        ) == jnp.expand_dims(context, axes)
        return jnp.where(here, value[None], leaf)

    return jax.tree.map(put, tree, values)


class ContextStats(NamedTuple):
    """Statistics of every context."""

    stats: MeanStats  # [contexts, K, *lanes]
    rounds: Array  # [contexts, *lanes] int32: steps in each


@dataclasses.dataclass(frozen=True)
class ContextualUCB(Selector):
    """UCB with a memory of its own in every context.

    index_j = mean_cj + beta sqrt(ln t_c / known_cj), t_c the rounds in context c, this
    one included. An arm without a reward in c is played first, the lowest one before
    others.

    Attributes:
        num_contexts: number of contexts, >= 1; structure, set by `evaluate`.
    """

    num_contexts: int = 1

    def default_params(self) -> UCBParams:
        """Returns beta = 1."""
        return UCBParams(1.0)

    def over_contexts(self, num_contexts: int) -> "ContextualUCB":
        """Returns the selector for so many contexts."""
        return ContextualUCB(num_contexts)

    def init(
        self, params: UCBParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> ContextStats:
        """Returns the statistics before any reward."""
        del params
        stats = MeanStats.zeros(self.num_contexts, (num_arms, *lanes))
        return ContextStats(stats, jnp.zeros((self.num_contexts, *lanes), jnp.int32))

    def select(
        self, params: UCBParams, state: ContextStats, key: Array, now: Now
    ) -> Array:
        """Returns the arm with the largest index."""
        del key
        stats, rounds = in_context(state, context_of(now))
        bonus = params.beta * jnp.sqrt(jnp.log((rounds + 1).astype(stats.mean.dtype)))
        index = stats.mean + bonus[None] * stats.inverse_sqrt
        return best_arm(jnp.where(stats.known > 0, index, jnp.inf))

    def update(
        self, params: UCBParams, state: ContextStats, feedback: Feedback
    ) -> ContextStats:
        """Returns the statistics of the step's context with its rewards folded in."""
        del params
        context = context_of(feedback)
        stats, rounds = in_context(state, context)
        after = ContextStats(fold(stats, feedback), rounds + 1)
        return put_context(state, after, context)


class LinParams(NamedTuple):
    """Numbers of `LinUCB`."""

    beta: Array | float = 1.0  # [] exploration
    price: Any = np.zeros(1)  # [contexts] price of shipping; `evaluate` sets it


class LinStats(NamedTuple):
    """Running moments of the rewards of K arms and of the prices at their steps.

    Means and centred sums by Welford's recursion: raw sums cancel in float32. All are
    pairs, because float32 also loses steps of a mean or sum over many rewards.
    """

    known: Array  # [K, *lanes] float: number of rewards
    price: Pair  # [K, *lanes] mean price
    reward: Pair  # [K, *lanes] mean reward
    square: Pair  # [K, *lanes] sum of squared deviations of the price
    product: Pair  # [K, *lanes] sum of products of both deviations

    def add(self, reward: Array, price: Array) -> "LinStats":
        """Returns the moments with one reward more for every arm in them."""
        known = self.known + 1
        price_mean = pairs.mean_with(self.price, price, known)
        reward_mean = pairs.mean_with(self.reward, reward, known)
        off = price - self.price.high
        return LinStats(
            known,
            price_mean,
            reward_mean,
            pairs.add(self.square, off * (price - price_mean.high)),
            pairs.add(self.product, off * (reward - reward_mean.high)),
        )


@dataclasses.dataclass(frozen=True)
class LinUCB(Selector):
    """index_j = theta_j . x + beta sqrt(x . A_j^-1 x), x = (1, price of shipping now).

    A_j = I + sum x x', theta_j = A_j^-1 sum r x over the rewards r of arm j. The price
    is mu times the mean cost of shipping, so what is learned in one state of a link
    carries over to others. With two features A has a closed-form inverse.

    Speed: 5 to 10 times UCB1's time per step, because every arm takes a division and a
    square root at every step and keeps five moments, where UCB1 keeps 1/sqrt(n).

    Reference:
        Li, Chu, Langford and Schapire, WWW 2010, arXiv 1003.0146, algorithm 1
        (disjoint).
    """

    def default_params(self) -> LinParams:
        """Returns beta = 1."""
        return LinParams()

    def with_prior(self, params: LinParams, prior: Prior) -> LinParams:
        """Returns the numbers with the price of shipping in every context."""
        return params._replace(price=prior.shipping_price)

    def init(
        self, params: LinParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> LinStats:
        """Returns the moments of no rewards: A = I."""
        del params
        zeros = jnp.zeros((num_arms, *lanes), jnp.result_type(float))
        return LinStats(zeros, *[Pair(zeros, zeros)] * 4)

    def select(self, params: LinParams, state: LinStats, key: Array, now: Now) -> Array:
        """Returns the arm with the largest index."""
        del key
        price = _price(params, context_of(now), state.known.dtype)[None]
        return best_arm(linucb_index(params, state, price))

    def update(
        self, params: LinParams, state: LinStats, feedback: Feedback
    ) -> LinStats:
        """Returns the moments with the revealed rewards added."""
        price = _price(params, context_of(feedback), state.known.dtype)[None]
        return fold(state, feedback, price)


def linucb_index(params: LinParams, state: LinStats, price: Array) -> Array:
    """Returns the index of every arm at a price `[1, *lanes]`, `[K, *lanes]`.

    With n rewards, mean price m, mean reward r, x the price, and the centred sums S of
    squares and P of products, the ridge regression has no difference of large numbers:

        det A = (1 + n) (1 + S) + n m^2
        det A x.A^-1 x = 1 + x^2 + S + n (m - x)^2
        det A theta.x = n r (1 + S) - n m P + x ((1 + n) P + n m r)
    """
    known = state.known
    mean, reward, square, product = (pair.high for pair in state[1:])
    scale = 1 / ((1 + known) * (1 + square) + known * mean * mean)
    level = known * (reward * (1 + square) - mean * product)
    slope = (1 + known) * product + known * mean * reward
    spread = 1 + price * price + square + known * (mean - price) ** 2
    return (level + slope * price) * scale + params.beta * jnp.sqrt(spread * scale)


def _price(params: LinParams, context: Array, dtype: Any) -> Array:
    return jnp.asarray(params.price, dtype)[context]


def contextual_ucb(*, alpha: float = ALPHA, beta: float = 1.0) -> Policy:
    """Contextual UCB over splits: SplitEE with a memory for every condition.

    See `ContextualUCB`. The context is the condition of the scenario.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        beta: exploration, >= 0.
    """
    params = UCBParams(checks.moderate("beta", beta))
    return over_splits(
        "contextual_ucb", ContextualUCB(), params, alpha=alpha, context=CONDITION
    )


def route_ucb(
    *, alpha: float = ALPHA, beta: float = 1.0, num_routes: int = 2
) -> Policy:
    """Route UCB: contextual UCB over every pair of split and route.

    A route is a tier (edge or cloud), a quantisation or the width of an encoder, see
    `Condition.routes`. The context is the condition of the scenario.

    Speed: 8 to 12 times UCB1's time per step at 12 exits and 2 routes, because it has
    twice the arms and a memory for every condition, more than a core's cache holds.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        beta: exploration, >= 0.
        num_routes: routes to choose from, >= 1; structure, so another number compiles
            again.
    """
    alpha = checks.number("alpha", alpha, 0.0, 1.0)
    num_routes = checks.integer("num_routes", num_routes, 1)
    params = UCBParams(checks.moderate("beta", beta))
    return Policy(
        "route_ucb",
        functools.partial(_over_routes, alpha=alpha, num_routes=num_routes),
        ContextualUCB(),
        params=params,
        context=CONDITION,
        alpha=alpha,
    )


def _over_routes(
    num_exits: int, protocol: Protocol, alpha: float, num_routes: int
) -> Plan:
    del protocol
    pairs = [
        plans.by_route(plans.split(num_exits, depth, alpha), route)
        for route in range(num_routes)
        for depth in range(1, num_exits)
    ]
    return plans.stack([*pairs, plans.exit_at(num_exits, num_exits)])


def linucb(*, alpha: float = ALPHA, beta: float = 1.0) -> Policy:
    """LinUCB over splits: rewards are linear in the price of shipping.

    See `LinUCB`. The context is the condition of the scenario.

    Args:
        alpha: confidence in [0, 1] from which the device answers.
        beta: exploration, >= 0.
    """
    params = LinParams(checks.moderate("beta", beta))
    return over_splits("linucb", LinUCB(), params, alpha=alpha, context=CONDITION)


def isplitee(*, alpha: float = ISPLITEE_ALPHA, beta: float = 1.0) -> Policy:
    """I-SplitEE: side information, learned anew under every known distortion.

    Rewards and side information are as in SplitEE-S: every head is evaluated, and free
    in `Costs.isplitee`. The context is the condition of the scenario, which is the
    distortion here.

    Args:
        alpha: confidence in [0, 1] from which the device answers; published 0.5.
        beta: exploration, >= 0; published 1.

    Reference:
        Bajpai et al., I-SplitEE, arXiv 2401.10541.

    Differences from the released code: it credits past exits again at every step, and
    its arm 0 never learns from shipping. Both depart from the described algorithm.
    """
    params = UCBParams(checks.moderate("beta", beta))
    return over_splits(
        "isplitee",
        ContextualUCB(),
        params,
        alpha=alpha,
        reveal="prefix",
        all_heads=True,
        context=CONDITION,
    )
