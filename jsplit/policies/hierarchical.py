"""Hierarchical inference by a lower bound: accept the device's answer, or ship it.

Here: HI-LCB and HI-LCB-lite. They take the cloud's answer for the truth and learn, by
bin of confidence, how often the device's agrees with it; an accepted answer teaches
nothing. What a plan teaches is `Signal` "agreement": 1[agrees] if accepted, 1 - mu
offload if shipped. Thresholds learned from the same signal are in `hedge`.
"""

import dataclasses
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
    """Agreement with the cloud by bin of confidence."""

    agreement: MeanStats  # [C, *lanes]
    ship: Array  # [*lanes] float: what shipping teaches, inf before the first


@dataclasses.dataclass(frozen=True)
class HILCB(Selector):
    """Accepts if a lower bound of the agreement exceeds what shipping is worth.

    lcb_c = mean_c - sqrt(xi ln t / n_c) over the n_c shipped samples of bin c, minus
    infinity without any. With `monotone`, as in HI-LCB, agreement is taken to grow with
    confidence, so the bound of a bin is the largest of its own and all lower bins'.
    Ships unless bound > 1 - mu offload, that is, unless 1 - bound < mu offload. Where
    the cost of shipping changes, offload is that of the step before.

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
