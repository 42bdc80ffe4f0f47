"""Hierarchical inference by a lower bound: accept the device's answer, or ship.

Here: HI-LCB and HI-LCB-lite. They take the cloud's answer for the truth and learn, for
each bin of confidence, how often the device agrees with it. An accepted answer reveals
nothing. The reward learned from is "agreement": 1[agrees] if accepted, 1 - mu offload
if shipped. Not here: thresholds learned from the same reward (`hedge`).
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit import checks
from jsplit.policies import plans
from jsplit.policies.base import Policy, Selector, context_of
from jsplit.policies.contextual import in_context, put_context
from jsplit.policies.running import MeanStats
from jsplit.types import Context, Feedback, Now, Plan, Protocol

ACCEPT, SHIP = 0, 1
BINS = 10
XI = 0.5


class LCBParams(NamedTuple):
    """Numbers of `HILCB`."""

    xi: Array | float = XI  # [] width of the lower bound


class LCBState(NamedTuple):
    """State of `HILCB`."""

    agreement: MeanStats  # [bins, *lanes], one for each bin of confidence
    ship: Array  # [*lanes] float: reward of shipping, inf before the first


@dataclasses.dataclass(frozen=True)
class HILCB(Selector):
    """Accepts if a lower bound of the agreement exceeds what shipping is worth.

    lcb_c = mean_c - sqrt(xi ln t / n_c) over the n_c shipped samples of bin c, minus
    infinity without any. With `monotone`, as in HI-LCB, agreement is assumed to grow
    with confidence: the bound of a bin is then the largest lcb of this bin and all
    lower ones. The sample is shipped unless bound > 1 - mu offload. The cost offload is
    taken from the step before, which matters where it changes.

    Attributes:
        monotone: whether the bound of a bin also holds for higher bins.
        num_contexts: number of bins, >= 1; structure, set by `evaluate`.

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
        """Returns the statistics before any reward."""
        del params, num_arms
        agreement = MeanStats.zeros(self.num_contexts, lanes)
        return LCBState(agreement, jnp.full(lanes, jnp.inf, agreement.mean.dtype))

    def select(self, params: LCBParams, state: LCBState, key: Array, now: Now) -> Array:
        """Returns arm 0 to accept, or arm 1 to ship."""
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
        """Returns the state with the agreement that shipping revealed."""
        del params
        agreement, agreed = _observed(feedback, ACCEPT)
        ship, shipped = _observed(feedback, SHIP)
        context = context_of(feedback)
        before = in_context(state.agreement, context)
        after = jax.tree.map(
            lambda new, old: jnp.where(agreed, new, old), before.add(agreement), before
        )
        return LCBState(
            put_context(state.agreement, after, context),
            jnp.where(shipped, ship, state.ship),
        )


def _observed(feedback: Feedback, arm: int) -> tuple[Array, Array]:
    """Returns an arm's reward and whether it became known, `[*lanes]`."""
    if feedback.rewards is None or feedback.revealed is None:
        return feedback.reward, feedback.arm == arm
    return feedback.rewards[arm], feedback.revealed[arm]


def hi_lcb(*, depth: int = 1, bins: int = BINS, xi: float = XI) -> Policy:
    """HI-LCB: accept at one exit if, with enough confidence, the cloud would agree.

    See `HILCB`, monotone.

    Args:
        depth: the exit whose answer may be accepted, 1..L-1.
        bins: bins of confidence, >= 1; structure, so another number compiles again.
        xi: width of the lower bound, >= 0.
    """
    return _hi_lcb("hi_lcb", True, depth, bins, xi)


def hi_lcb_lite(*, depth: int = 1, bins: int = BINS, xi: float = XI) -> Policy:
    """HI-LCB-lite: as HI-LCB, but each bin of confidence stands alone.

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
    return Policy(
        name,
        functools.partial(_accept_or_ship, depth=depth),
        HILCB(monotone),
        params=LCBParams(checks.moderate("xi", xi)),
        reveal="shipped",
        learns="agreement",
        context=Context("confidence", depth, bins),
    )


def _accept_or_ship(num_exits: int, protocol: Protocol, depth: int) -> Plan:
    del protocol
    checks.integer("depth", depth, 1, num_exits - 1)
    accept = plans.exit_at(num_exits, depth)
    return plans.stack([accept, plans.offload_all(num_exits, depth, head=True)])
