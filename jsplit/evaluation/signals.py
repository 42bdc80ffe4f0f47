"""What a policy is told: before it chooses, and after.

Here: contexts, what is learned, whose rewards become known, and what the costs alone
imply. Not here: what a plan does (`outcomes`) or how a policy learns (`policies`). A
policy is judged by the reward whatever it learns from.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsplit import checks
from jsplit.environment import outcomes
from jsplit.environment.costs import Costs
from jsplit.policies.base import Policy
from jsplit.traces.trace import Trace
from jsplit.types import Context, JsplitError, Outcome, Plan, Range

WORTHLESS = 2.0**-30  # of shipping at a cost of 1; not 0, see `learned`


def learned(
    policy: Policy, plans: Plan, trace: Trace, costs: Costs, outcome: Outcome
) -> np.ndarray:
    """Returns what playing each plan on each sample would teach, [N, K] float64.

    For plan k with deepest exit d, answering with exit i or shipping after d:

    - "reward": confidence of the answer minus mu times its cost.
    - "gain": max(C_cloud - C_d, 0) - mu * offload_d if shipped, else 0.
    - "disagreement": 1[the answer differs from exit 1's] minus mu times its cost.
    - "agreement": 1[exit i's answer is the cloud's], or 1 - mu * offload_d if shipped.
      That is `WORTHLESS` instead of 0 where mu * offload_d is 1, so that what shipping
      teaches always tells it from an answer that the cloud disagrees with.

    The last two compare predictions, and a trace has none for what the cloud says over
    a link that changes its answers, so they need a lossless one.

    Raises:
        JsplitError: if the trace lacks what is learned from.
    """
    reward = np.asarray(outcome.reward, np.float64)
    if policy.learns == "reward":
        return reward
    shipped, fee = np.asarray(outcome.exit) == costs.num_exits, _fee(plans, costs)
    if policy.learns == "gain":
        deepest = np.maximum(np.asarray(plans.depth) - 1, 0)
        own, cloud = trace.confidence[:, deepest], trace.remote_confidence[:, deepest]
        return np.where(shipped, np.maximum(cloud - own, 0) - fee, 0)
    prediction = _predictions(policy, trace)
    exits = np.minimum(np.asarray(outcome.exit), trace.num_exits - 1)
    answer = np.take_along_axis(prediction, exits, 1)
    if policy.learns == "disagreement":
        bill = costs.mu * np.asarray(outcome.cost, np.float64)
        return (answer != prediction[:, :1]) - bill
    worth = np.where(fee == 1, WORTHLESS, 1 - fee)
    return np.where(shipped, worth, answer == prediction[:, -1:])


def learned_range(
    policy: Policy, plans: Plan, costs: Costs, learn_all_heads: bool
) -> Range:
    """Returns the interval that all of `learned` lies in.

    Nothing of the trace is looked at: a confidence is in [0, 1], a cost is that of an
    exit which some plan can take.
    """
    possible = exits_of(plans)
    if policy.learns in ("gain", "agreement"):
        fee = _fee(plans, costs)[possible[:, -1]]
        least = 1 - fee if policy.learns == "agreement" else -fee
        most = [1.0] if policy.learns == "agreement" else []
        ends = [0.0, *most, *least, *(1 - fee)]
        return Range(min(ends), max(ends))
    all_heads = learn_all_heads and policy.learns == "reward"
    table = outcomes.costs_by_exit(
        plans, outcomes.cost_table(costs), np.bool_(all_heads)
    )
    paid = np.asarray(table).astype(np.float64)[possible]
    return Range(-costs.mu * float(paid.max()), 1 - costs.mu * float(paid.min()))


def revealed(
    policy: Policy, plans: Plan, outcome: Outcome, *, strict: bool, lossless: bool
) -> Array | None:
    """Returns whose rewards playing each plan makes known, [N, K, K] bool.

    Axes: sample, played plan, plan whose reward becomes known. None if that is the
    played plan's alone.

    - "prefix": see `revealed_by`.
    - "shipped": a plan that ships has a known reward; one that answers on the device is
      known only if the played plan shipped, because it takes the cloud to tell, and by
      the same route.
    - "all": every plan's.
    """
    if policy.reveal == "own":
        return None
    if policy.reveal == "prefix":
        return revealed_by(plans, outcome.exit, strict=strict, lossless=lossless)
    num_exits = jnp.asarray(plans.threshold).shape[-1]
    shipped = outcome.exit == num_exits
    if policy.reveal == "all":
        return jnp.ones((*shipped.shape, shipped.shape[1]), bool)
    return shipped[:, None, :] | (shipped[:, :, None] & _same_route(plans)[None])


@functools.partial(jax.jit, static_argnames=("strict", "lossless"))
def revealed_by(plans: Plan, exits: Array, *, strict: bool, lossless: bool) -> Array:
    """Returns which plans' rewards a step makes known under side information.

    Playing plan a reveals a plan j no deeper than a. Strictly, only if its reward can
    be computed from what was: j goes no deeper than a did, and it answers on the
    device, or it ships and the cloud's answer is known, because the sample was shipped
    or a ran all layers. A lossy link answers differently for every split, so
    there a shipped j is known only if it is a itself. Another route may be
    another network, so nothing is known of a plan with another route.

    Args:
        plans: K plans.
        exits: [N, K] exits taken, L = shipped.
        strict: False reveals every plan no deeper than a, as the released code does.
        lossless: the cloud answers every shipped sample as exit L would.

    Returns:
        [N, K, K] bool: sample, played plan, plan whose reward becomes known.
    """
    depth = jnp.asarray(plans.depth)
    num_exits = jnp.asarray(plans.threshold).shape[-1]
    itself = jnp.eye(depth.size, dtype=bool)
    if not strict:
        shallower = depth[None, :] <= depth[:, None]  # [played, other]
        return jnp.broadcast_to(shallower | itself, (*exits.shape, depth.size))
    shipped = exits == num_exits
    reached = jnp.where(shipped, (depth - 1)[None], exits)  # deepest exit on the device
    on_the_way = reached[:, None, :] <= reached[:, :, None]
    cloud_known = (shipped | (reached == num_exits - 1)) & lossless
    known = ~shipped[:, None, :] | cloud_known[:, :, None]
    return (on_the_way & known & _same_route(plans)[None]) | itself[None]


def _same_route(plans: Plan) -> Array:
    """Returns which of K plans ship by the same route, [K, K] bool."""
    route = jnp.asarray(plans.route)
    return route[None] == route[:, None]


def num_contexts(context: Context | None, num_conditions: int, num_plans: int) -> int:
    """Returns how many contexts a policy may be told of."""
    if context is None:
        return 1
    by_kind = {"condition": num_conditions, "confidence": context.bins}
    return by_kind.get(context.kind, num_plans)


def contexts(
    context: Context,
    condition: int,
    plans: Plan,
    trace: Trace,
    outcome: Outcome,
    plan_costs: np.ndarray,
) -> np.ndarray:
    """Returns the context of every sample while `condition` holds, [N] int32.

    Args:
        context: what the policy asks for.
        condition: number of the condition.
        plans: K plans.
        trace: its trace.
        outcome: [N, K] outcomes.
        plan_costs: [K, L + 1] cost of each plan at each exit.

    Raises:
        JsplitError: if the plans do not fit what is told.
    """
    samples = np.zeros(trace.num_samples, np.int32)
    if context.kind == "condition":
        return samples + condition
    if context.kind == "best":
        return np.asarray(outcome.reward).argmax(1).astype(np.int32)
    if context.kind == "cheapest":
        possible = exits_of(plans)
        if (possible.sum(1) != 1).any():
            raise JsplitError(
                "context 'cheapest' needs plans whose cost does not depend on the "
                "sample: each must always take the same exit"
            )
        return samples + np.int32(plan_costs[possible].argmin())
    exit_ = checks.integer("exit of context", context.exit, 1, trace.num_exits)
    checks.integer("bins of context", context.bins, 1)
    threshold, depth, heads = map(
        np.asarray, (plans.threshold, plans.depth, plans.heads)
    )
    runs = heads[:, exit_ - 1] & (depth >= exit_)
    if not (runs & (threshold[:, : exit_ - 1] == np.inf).all(1)).all():
        raise JsplitError(
            f"context 'confidence' of exit {exit_} needs plans that all run its head, "
            "or the policy would be told what nobody computed"
        )
    bins = np.floor(trace.confidence[:, exit_ - 1] * context.bins)
    return np.minimum(bins, context.bins - 1).astype(np.int32)


def prices(context: Context | None, costs: list[Costs], size: int) -> np.ndarray:
    """Returns mu times the mean cost of shipping in every context, [contexts].

    Zero for contexts that say nothing about it.
    """
    if context is None or context.kind != "condition":
        return np.zeros(size)
    return np.array([one.mu * one.offload.mean() for one in costs])


def exits_of(plans: Plan) -> np.ndarray:
    """Returns which exits K plans can take, [K, L + 1] bool, last = shipped."""
    threshold, depth, delay = map(
        np.asarray, (plans.threshold, plans.depth, plans.delay)
    )
    num_exits = threshold.shape[1]
    exits = np.arange(num_exits)
    on_device = exits < depth[:, None]
    always = (threshold == -np.inf) & on_device
    passed = np.cumsum(always, 1) - always == 0  # no exit before this one always stops
    stops = on_device & (threshold < np.inf) & passed
    through = ~always.any(1)
    found = np.zeros((depth.size, num_exits + 1), bool)
    plan, exit_ = np.nonzero(stops)
    found[plan, np.minimum(exit_ + delay[plan], num_exits - 1)] = True
    found[:, -2] |= through & (depth == num_exits)
    found[:, -1] = through & (depth < num_exits)
    return found


def _fee(plans: Plan, costs: Costs) -> np.ndarray:
    """Returns mu times what shipping costs each of K plans, [K]."""
    depth = np.asarray(plans.depth)
    return costs.mu * np.where(depth > 0, costs.offload[depth - 1], costs.input)


def _predictions(policy: Policy, trace: Trace) -> np.ndarray:
    if trace.prediction is None or not trace.lossless:
        lacks = "predictions" if trace.prediction is None else "a lossless link"
        raise JsplitError(
            f"policy {policy.label} learns from {policy.learns} and needs a trace with "
            f"{lacks}, and this one has none"
        )
    return trace.prediction
