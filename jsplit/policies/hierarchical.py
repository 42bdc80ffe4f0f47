"""Hierarchical inference: accept the device's answer at one exit, or ship it.

Here: HI-LCB, HI-LCB-lite, HIL-F and HIL-N. They take the cloud's answer for the truth
and learn how often the device's agrees with it; an accepted answer teaches nothing.
What a plan teaches is `Signal` "agreement": 1[agrees] if accepted, 1 - mu offload if
shipped.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit import checks, plans
from jsplit.policies.base import Policy, Selector, best_arm, context_of, per_lane
from jsplit.policies.contextual import in_context, put_context
from jsplit.policies.running import MeanStats
from jsplit.policies.thresholds import grid
from jsplit.types import Context, Feedback, Now, Plan, Protocol

ACCEPT, SHIP = 0, 1
BINS = 10
XI = 0.5
NUM_THRESHOLDS = 11  # 0, 0.1, ..., 1
ETA = 0.05  # sqrt(8 ln K / T) is 0.044 for K = 11, T = 10,000
EPSILON = 0.05


class LCBParams(NamedTuple):
    """Numbers of `HILCB`."""

    xi: Array | float = XI  # [] width of the lower bound


class LCBState(NamedTuple):
    """Agreement with the cloud by bin of confidence."""

    agreement: MeanStats  # [C, *lanes]
    ship: Array  # [*lanes] float: what shipping teaches, inf before the first


@dataclasses.dataclass(frozen=True)
class HILCB(Selector):
    """Accepts if a lower bound of the agreement exceeds what shipping is worth.

    lcb_c = mean_c - sqrt(xi ln t / n_c) over the n_c shipped samples of bin c, minus
    infinity without any. With `monotone`, as in HI-LCB, agreement is taken to grow with
    confidence, so the bound of a bin is the largest of its own and all lower bins'.
    Ships unless bound > 1 - mu offload, that is, unless 1 - bound < mu offload.

    Attributes:
        monotone: whether lower bins vouch for higher ones.
        num_contexts: C bins; structure, set by `evaluate`.

    Reference:
        Chattopadhyay, Sutar, Champati and Moharir, Low-regret and low-complexity
        learning for hierarchical inference, arXiv 2508.08985; the constant in the
        width is not checked against it.
    """

    monotone: bool = True
    num_contexts: int = 1

    def default_params(self) -> LCBParams:
        """Returns xi = 0.5."""
        return LCBParams()

    def over_contexts(self, num_contexts: int) -> "HILCB":
        """Returns the selector for so many bins."""
        return dataclasses.replace(self, num_contexts=num_contexts)

    def init(
        self, params: LCBParams, num_arms: int, lanes: tuple[int, ...] = ()
    ) -> LCBState:
        """Returns zero counts."""
        del params, num_arms
        agreement = MeanStats.zeros(self.num_contexts, lanes)
        return LCBState(agreement, jnp.full(lanes, jnp.inf, agreement.mean.dtype))

    def select(self, params: LCBParams, state: LCBState, key: Array, now: Now) -> Array:
        """Returns 0 to accept or 1 to ship."""
        del key
        seen = state.agreement
        width = jnp.sqrt(params.xi * jnp.log(now.t.astype(seen.mean.dtype)))
        bound = seen.mean - width * seen.inverse_sqrt
        bound = jnp.where(seen.known > 0, bound, -jnp.inf)
        if self.monotone:
            bound = jax.lax.cummax(bound, axis=0)
        here = in_context(bound, context_of(now))
        return jnp.where(here > state.ship, ACCEPT, SHIP).astype(jnp.int32)

    def update(
        self, params: LCBParams, state: LCBState, feedback: Feedback
    ) -> LCBState:
        """Returns the counts with what shipping showed."""
        del params
        agreement, agreed = _told(feedback, ACCEPT)
        ship, shipped = _told(feedback, SHIP)
        context = context_of(feedback)
        before = in_context(state.agreement, context)
        after = jax.tree.map(
            lambda new, old: jnp.where(agreed, new, old), before.add(agreement), before
        )
        return LCBState(
            put_context(state.agreement, after, context),
            jnp.where(shipped, ship, state.ship),
        )


def _told(feedback: Feedback, arm: int) -> tuple[Array, Array]:
    """Returns an arm's reward and whether it became known, `[*lanes]`."""
    if feedback.rewards is None or feedback.revealed is None:
        return feedback.reward, feedback.arm == arm
    return feedback.rewards[arm], feedback.revealed[arm]


class HedgeParams(NamedTuple):
    """Numbers of `Hedge`."""

    eta: Array | float = ETA  # [] learning rate


class HedgeState(NamedTuple):
    """State of `Hedge` and `ExploringHedge`."""

    loss: Array  # [K, *lanes] float: losses so far, the smallest taken off


def _draw(loss: Array, eta: Array | float, uniform: Array) -> Array:
    """Returns an arm drawn with chances proportional to exp(-eta loss)."""
    weight = jnp.exp(-eta * loss)
    below = jnp.cumsum(weight, axis=0)
    return best_arm(below > (uniform * below[-1])[None])


def _less_best(loss: Array) -> Array:
    """Returns losses relative to the smallest, which is all that chances depend on."""
    return loss - loss.min(0, keepdims=True)


@dataclasses.dataclass(frozen=True)
class Hedge(Selector):
    """Draws threshold k with chance proportional to exp(-eta sum of its losses).

    A plan's loss is 1 - what it teaches; every plan's is known after every step.

    Reference:
        Moothedath, Champati and Gross, Online algorithms for hierarchical inference in
        deep learning applications at the edge, arXiv 2304.00891 (HIL-F).

    Differences from the paper: it refines its thresholds as new confidences arrive;
    here they are a grid.
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
        """Returns the losses with those of the step."""
        del params
        if feedback.rewards is None or feedback.revealed is None:
            return state
        known = jnp.where(feedback.revealed, 1 - feedback.rewards, 0)
        return HedgeState(_less_best(state.loss + known))


class ExploringParams(NamedTuple):
    """Numbers of `ExploringHedge`."""

    eta: Array | float = ETA  # [] learning rate
    epsilon: Array | float = EPSILON  # [] of the steps, shipped to explore


@dataclasses.dataclass(frozen=True)
class ExploringHedge(Selector):
    """Hedge over thresholds where an accepted answer teaches nothing (HIL-N).

    The last arm always ships and is played with chance epsilon. A threshold that would
    ship has the known loss mu offload; one that would accept has loss
    1[disagrees] / epsilon at those steps and 0 at all others, which is right on
    average.

    Reference:
        Moothedath, Champati and Gross, Online algorithms for hierarchical inference in
        deep learning applications at the edge, arXiv 2304.00891 (HIL-N).

    Differences from the paper: thresholds are a grid, as in `Hedge`.
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
        """Returns the losses with the step's, divided by the chance of seeing them."""
        if feedback.rewards is None:
            return state
        ship = feedback.rewards[-1:]
        rewards = feedback.rewards[:-1]
        explores = (feedback.arm == len(state.loss))[None]
        seen = jnp.where(explores, (1 - rewards) / params.epsilon, 0)
        # What would ship teaches what shipping does, to the last bit.
        return HedgeState(
            _less_best(state.loss + jnp.where(rewards == ship, 1 - ship, seen))
        )


def hi_lcb(*, depth: int = 1, bins: int = BINS, xi: float = XI) -> Policy:
    """HI-LCB: accept at one exit if, surely enough, the cloud would agree.

    See `HILCB`, monotone.

    Args:
        depth: the exit whose answer may be accepted, 1..L-1.
        bins: bins of confidence, >= 1; structure, so another number compiles again.
        xi: width of the lower bound, >= 0.
    """
    return _hi_lcb("hi_lcb", True, depth, bins, xi)


def hi_lcb_lite(*, depth: int = 1, bins: int = BINS, xi: float = XI) -> Policy:
    """HI-LCB-lite: as HI-LCB, but no bin of confidence vouches for another.

    See `HILCB`, not monotone.

    Args:
        depth: the exit whose answer may be accepted, 1..L-1.
        bins: bins of confidence, >= 1; structure, so another number compiles again.
        xi: width of the lower bound, >= 0.
    """
    return _hi_lcb("hi_lcb_lite", False, depth, bins, xi)


def _hi_lcb(name: str, monotone: bool, depth: int, bins: int, xi: float) -> Policy:
    depth = checks.integer("depth", depth, 1)
    bins = checks.integer("bins", bins, 1)

    def build(num_exits: int, protocol: Protocol) -> Plan:
        del protocol
        checks.integer("depth", depth, 1, num_exits - 1)
        accept = plans.exit_at(num_exits, depth)
        return plans.stack([accept, plans.offload_all(num_exits, depth, head=True)])

    return Policy(
        name,
        build,
        HILCB(monotone),
        params=LCBParams(checks.number("xi", xi, 0.0)),
        reveal="shipped",
        learns="agreement",
        context=Context("confidence", depth, bins),
    )


def hil_f(
    *, depth: int = 1, num_thresholds: int = NUM_THRESHOLDS, eta: float = ETA
) -> Policy:
    """HIL-F: thresholds at one exit by Hedge, told whether every answer was right.

    See `Hedge`. Privileged: it learns also whether the cloud agrees with an answer that
    was accepted, which takes shipping it.

    Args:
        depth: the exit whose answer may be accepted, 1..L-1.
        num_thresholds: thresholds from 0 to 1, >= 2; structure.
        eta: learning rate, >= 0.
    """
    params = HedgeParams(checks.number("eta", eta, 0.0))
    build = _thresholds(depth, num_thresholds)
    return Policy(
        "hil_f",
        lambda num_exits, protocol: plans.stack(build(num_exits)),
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
    """HIL-N: thresholds at one exit by Hedge, exploring because accepting is silent.

    See `ExploringHedge`.

    Args:
        depth: the exit whose answer may be accepted, 1..L-1.
        num_thresholds: thresholds from 0 to 1, >= 2; structure.
        eta: learning rate, >= 0.
        epsilon: share of the steps shipped to explore, in (0, 1].
    """
    epsilon = checks.number("epsilon", epsilon, 1e-6, 1.0)
    params = ExploringParams(checks.number("eta", eta, 0.0), epsilon)
    build = _thresholds(depth, num_thresholds)

    def with_exploration(num_exits: int, protocol: Protocol) -> Plan:
        del protocol
        explore = plans.offload_all(num_exits, depth, head=True)
        return plans.stack([*build(num_exits), explore])

    return Policy(
        "hil_n",
        with_exploration,
        ExploringHedge(),
        params=params,
        reveal="shipped",
        learns="agreement",
    )


def _thresholds(depth: int, num_thresholds: int) -> Callable[[int], list[Plan]]:
    """Returns, for L exits, the splits at `depth` for every threshold."""
    depth = checks.integer("depth", depth, 1)
    num_thresholds = checks.integer("num_thresholds", num_thresholds, 2)
    alphas = grid(0.0, 1.0, num_thresholds)

    def build(num_exits: int) -> list[Plan]:
        checks.integer("depth", depth, 1, num_exits - 1)
        return [plans.split(num_exits, depth, alpha) for alpha in alphas]

    return build
