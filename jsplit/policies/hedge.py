"""Hierarchical inference by Hedge: a threshold at one exit, drawn by its losses.

Here: HIL-F and HIL-N. They take the cloud's answer for the truth, and the reward they
learn from is "agreement", as in `hierarchical`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsplit import checks
from jsplit.policies import plans
from jsplit.policies.base import Policy, Selector, best_arm, per_lane
from jsplit.policies.thresholds import grid
from jsplit.types import Feedback, Now, Plan, Protocol

NUM_THRESHOLDS = 11  # 0, 0.1, ..., 1
ETA = 0.05  # sqrt(8 ln K / T) is 0.044 for K = 11, T = 10,000
EPSILON = 0.05


class HedgeParams(NamedTuple):
    """Numbers of `Hedge`."""

    eta: Array | float = ETA  # [] learning rate


class HedgeState(NamedTuple):
    """State of `Hedge` and `ExploringHedge`."""

    loss: Array  # [K, *lanes] float: sums of losses minus the smallest sum


def _draw(loss: Array, eta: Array | float, uniform: Array) -> Array:
    """Returns an arm drawn with chances proportional to exp(-eta loss)."""
    weight = jnp.exp(-eta * loss)
    below = jnp.cumsum(weight, axis=0)
    return best_arm(below > (uniform * below[-1])[None])


def _less_best(loss: Array) -> Array:
    """Returns losses minus the smallest, which leaves all chances the same."""
    return loss - loss.min(0, keepdims=True)


@dataclasses.dataclass(frozen=True)
class Hedge(Selector):
    """Draws threshold k with chance proportional to exp(-eta sum of its losses).

    The loss of a plan is 1 - its reward, and known for every plan after every step.

    Reference:
        Moothedath, Champati and Gross, Online algorithms for hierarchical inference in
        deep learning applications at the edge, arXiv 2304.00891 (HIL-F).

    Differences from the paper: thresholds are a grid; the paper refines them as new
    confidences arrive.
    """

    def default_params(self) -> HedgeParams:
        """Returns eta = 0.05."""
        return HedgeParams()

    def init(
        self, params: HedgeParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> HedgeState:
        """Returns zero losses."""
        del params
        return HedgeState(jnp.zeros((num_arms, *lanes), jnp.result_type(float)))

    def select(
        self, params: HedgeParams, state: HedgeState, key: Array, now: Now
    ) -> Array:
        """Returns a drawn threshold."""
        del now
        dtype = state.loss.dtype
        uniform = per_lane(lambda key: jax.random.uniform(key, (), dtype), key)
        return _draw(state.loss, params.eta, uniform)

    def update(
        self, params: HedgeParams, state: HedgeState, feedback: Feedback
    ) -> HedgeState:
        """Returns the losses after the step."""
        del params
        if feedback.rewards is None or feedback.revealed is None:
            return state
        known = jnp.where(feedback.revealed, 1 - feedback.rewards, 0)
        return HedgeState(_less_best(state.loss + known))


class ExploringParams(NamedTuple):
    """Numbers of `ExploringHedge`."""

    eta: Array | float = ETA  # [] learning rate
    epsilon: Array | float = EPSILON  # [] share of the steps shipped to explore


@dataclasses.dataclass(frozen=True)
class ExploringHedge(Selector):
    """Hedge over thresholds where an accepted answer reveals no loss (HIL-N).

    The last arm always ships and is played with chance epsilon, to explore. A threshold
    that would ship has the known loss mu offload. A threshold that would accept has
    loss 1[disagrees] / epsilon at exploring steps and 0 at all others, which is right
    on average.

    Speed: 3 to 4 times UCB1's time per step, because every step takes two draws and an
    exponential per threshold.

    Reference:
        Moothedath, Champati and Gross, Online algorithms for hierarchical inference in
        deep learning applications at the edge, arXiv 2304.00891 (HIL-N).

    Differences from the paper: as in `Hedge`.
    """

    def default_params(self) -> ExploringParams:
        """Returns eta = 0.05 and epsilon = 0.05."""
        return ExploringParams()

    def init(
        self, params: ExploringParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> HedgeState:
        """Returns zero losses."""
        del params
        return HedgeState(jnp.zeros((num_arms - 1, *lanes), jnp.result_type(float)))

    def select(
        self, params: ExploringParams, state: HedgeState, key: Array, now: Now
    ) -> Array:
        """Returns a drawn threshold, or the last arm to explore."""
        del now
        dtype = state.loss.dtype
        coin, place = per_lane(lambda key: jax.random.uniform(key, (2,), dtype), key)
        arm = _draw(state.loss, params.eta, place)
        return jnp.where(coin < params.epsilon, len(state.loss), arm).astype(jnp.int32)

    def update(
        self, params: ExploringParams, state: HedgeState, feedback: Feedback
    ) -> HedgeState:
        """Returns the losses after the step, over the chance of seeing them."""
        if feedback.rewards is None:
            return state
        ship = feedback.rewards[-1:]
        rewards = feedback.rewards[:-1]
        explores = (feedback.arm == len(state.loss))[None]
        seen = jnp.where(explores, (1 - rewards) / params.epsilon, 0)
        # A plan that would ship has the reward of shipping, to the last bit.
        return HedgeState(
            _less_best(state.loss + jnp.where(rewards == ship, 1 - ship, seen))
        )


def hil_f(
    *, depth: int = 1, num_thresholds: int = NUM_THRESHOLDS, eta: float = ETA
) -> Policy:
    """HIL-F: thresholds at one exit by Hedge, with every answer judged by the cloud.

    See `Hedge`. Privileged: it also learns whether the cloud agrees with an accepted
    answer, which takes shipping the sample.

    Args:
        depth: the exit whose answer may be accepted, 1..L-1.
        num_thresholds: thresholds from 0 to 1, >= 2; structure, so another number
            compiles again.
        eta: learning rate, >= 0.
    """
    params = HedgeParams(checks.moderate("eta", eta))
    return Policy(
        "hil_f",
        _thresholds(depth, num_thresholds, explores=False),
        Hedge(),
        params=params,
        reveal="all",
        learns="agreement",
        privileged=True,
    )


def hil_n(
    *,
    depth: int = 1,
    num_thresholds: int = NUM_THRESHOLDS,
    eta: float = ETA,
    epsilon: float = EPSILON,
) -> Policy:
    """HIL-N: thresholds at one exit by Hedge, where only shipping reveals a loss.

    See `ExploringHedge`.

    Args:
        depth: the exit whose answer may be accepted, 1..L-1.
        num_thresholds: thresholds from 0 to 1, >= 2; structure, so another number
            compiles again.
        eta: learning rate, >= 0.
        epsilon: share of the steps shipped to explore, in (0, 1].
    """
    epsilon = checks.number("epsilon", epsilon, 1e-6, 1.0)
    params = ExploringParams(checks.moderate("eta", eta), epsilon)
    return Policy(
        "hil_n",
        _thresholds(depth, num_thresholds, explores=True),
        ExploringHedge(),
        params=params,
        reveal="shipped",
        learns="agreement",
    )


def _thresholds(
    depth: int, num_thresholds: int, *, explores: bool
) -> Callable[[int, Protocol], Plan]:
    """Returns what builds the splits at `depth` for every threshold."""
    depth = checks.integer("depth", depth, 1)
    num_thresholds = checks.integer("num_thresholds", num_thresholds, 2)
    alphas = grid(0.0, 1.0, num_thresholds)
    return functools.partial(_plans, depth=depth, alphas=alphas, explores=explores)


def _plans(
    num_exits: int, protocol: Protocol, depth: int, alphas: np.ndarray, explores: bool
) -> Plan:
    """Returns the splits, and behind them the plan that ships to explore."""
    del protocol
    checks.integer("depth", depth, 1, num_exits - 1)
    splits = [plans.split(num_exits, depth, alpha) for alpha in alphas]
    if explores:
        splits.append(plans.offload_all(num_exits, depth, head=True))
    return plans.stack(splits)
