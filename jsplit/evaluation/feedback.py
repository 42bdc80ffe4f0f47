"""What a policy observes: a context before it chooses, rewards after.

Here: contexts; the rewards a policy learns from, their range and whose become known;
the price of shipping. Not here: what a plan does (`environment.outcomes`) or how a
policy learns (`policies`). A policy is judged by the reward, whatever it learns from.
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
from jsplit.types import Context, JsplitError, Outcome, Plan, RewardRange

WORTHLESS = 2.0**-30
"""Reward of shipping instead of 0, see `learning_rewards`."""


def learning_rewards(
    policy: Policy, plans: Plan, trace: Trace, costs: Costs, outcome: Outcome
) -> np.ndarray:
    """Returns the reward that a policy learns from, for each plan on each sample.

    For plan k with deepest exit d, which answers with exit i or ships after d, and C
    the confidence, `policy.learns` is

    - "reward": confidence of the answer minus mu times its cost.
    - "gain": max(C_cloud - C_d, 0) - mu * offload_d if shipped, else 0.
    - "disagreement": 1[the answer differs from exit 1's] minus mu times its cost.
    - "agreement": 1 - mu * offload_d if shipped, else 1[exit i answers as the cloud].

    "agreement" is never exactly 0 for a shipped sample: where mu * offload_d is 1 it is
    `WORTHLESS` instead. So its reward always differs from the reward 0 of an answer
    that the cloud disagrees with.

    "disagreement" and "agreement" compare predictions. A trace has no predictions of
    the cloud over a lossy link, so they need a lossless one.

    Args:
        policy: says what is learned from.
        plans: K plans.
        trace: N samples.
        costs: costs for its exits.
        outcome: what the plans do on the trace, fields [N, K].

    Returns:
        [N, K] float64.

    Raises:
        JsplitError: if the trace lacks what the policy learns from.
    """
    reward = np.asarray(outcome.reward, np.float64)
    if policy.learns == "reward":
        return reward
    shipped = np.asarray(outcome.exit) == costs.num_exits
    price = _shipping_price(plans, costs)
    if policy.learns == "gain":
        deepest = np.maximum(np.asarray(plans.depth) - 1, 0)
        own, cloud = trace.confidence[:, deepest], trace.remote_confidence[:, deepest]
        return np.where(shipped, np.maximum(cloud - own, 0) - price, 0)
    prediction = _predictions(policy, trace)
    exits = np.minimum(np.asarray(outcome.exit), trace.num_exits - 1)
    answer = np.take_along_axis(prediction, exits, 1)
    if policy.learns == "disagreement":
        bill = costs.mu * np.asarray(outcome.cost, np.float64)
        return (answer != prediction[:, :1]) - bill
    worth = np.where(price == 1, WORTHLESS, 1 - price)
    return np.where(shipped, worth, answer == prediction[:, -1:])


def reward_range(
    policy: Policy, plans: Plan, costs: Costs, learn_all_heads: bool
) -> RewardRange:
    """Returns an interval that holds all `learning_rewards`, whatever the trace.

    Confidences are in [0, 1], and a plan costs what one of its possible exits costs.

    Args:
        policy: says what is learned from.
        plans: K plans.
        costs: costs for the exits.
        learn_all_heads: the policy learns as if every head had been evaluated
            (`Protocol.learned_cost`).
    """
    possible = possible_exits(plans)
    if policy.learns in ("gain", "agreement"):
        price = _shipping_price(plans, costs)[possible[:, -1]]
        least = 1 - price if policy.learns == "agreement" else -price
        most = [1.0] if policy.learns == "agreement" else []
        ends = [0.0, *most, *least, *(1 - price)]
        return RewardRange(min(ends), max(ends))
    all_heads = learn_all_heads and policy.learns == "reward"
    table = outcomes.costs_by_exit(
        plans, outcomes.cost_table(costs), np.bool_(all_heads)
    )
    paid = np.asarray(table).astype(np.float64)[possible]
    return RewardRange(-costs.mu * float(paid.max()), 1 - costs.mu * float(paid.min()))


def revealed(
    policy: Policy, plans: Plan, outcome: Outcome, *, strict: bool, lossless: bool
) -> Array | None:
    """Returns whose rewards become known after playing each plan on each sample.

    It depends on `policy.reveal`:

    - "own": only the played plan's.
    - "prefix": see `side_information`.
    - "shipped": the reward of a plan that ships is always known. The reward of a plan
      that answers on the device is known only if the played plan shipped, by the same
      route: only the cloud can judge the answer.
    - "all": every plan's.

    Args:
        policy: says whose rewards become known.
        plans: K plans.
        outcome: what the plans do, fields [N, K].
        strict: as in `side_information`.
        lossless: as in `side_information`.

    Returns:
        [N, K, K] bool: sample, played plan, plan whose reward becomes known; None for
        "own".
    """
    if policy.reveal == "own":
        return None
    if policy.reveal == "prefix":
        return side_information(plans, outcome.exit, strict=strict, lossless=lossless)
    num_exits = jnp.asarray(plans.threshold).shape[-1]
    shipped = outcome.exit == num_exits
    if policy.reveal == "all":
        return jnp.ones((*shipped.shape, shipped.shape[1]), bool)
    return shipped[:, None, :] | (shipped[:, :, None] & _same_route(plans)[None])


@functools.partial(jax.jit, static_argnames=("strict", "lossless"))
def side_information(
    plans: Plan, exits: Array, *, strict: bool, lossless: bool
) -> Array:
    """Returns which plans' rewards become known as side information (SplitEE-S).

    Playing plan a reveals a plan j only if what was computed determines j's reward:

    - j goes no deeper than a went, and
    - j answers on the device, or j ships and the cloud's answer is known. It is known
      if the sample was shipped, or if a ran all layers.

    A cloud behind a lossy link answers differently for every split, so there a shipped
    j is known only if j is a. A plan with another route may ship to another network, so
    its reward stays unknown.

    Args:
        plans: K plans.
        exits: [N, K] exits taken, 0..L-1; L = shipped.
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
    """Returns how many contexts there are, 1 for a policy that observes none."""
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
    """Returns the context of every sample while `condition` holds.

    Args:
        context: what the policy observes.
        condition: number of the condition, from 0.
        plans: K plans.
        trace: trace of the condition, N samples.
        outcome: what the plans do, fields [N, K].
        plan_costs: [K, L + 1] cost of each plan at each exit, last = shipped.

    Returns:
        [N] int32, from 0.

    Raises:
        JsplitError: if the plans do not fit the kind of context.
    """
    samples = np.zeros(trace.num_samples, np.int32)
    if context.kind == "condition":
        return samples + condition
    if context.kind == "best":
        return np.asarray(outcome.reward).argmax(1).astype(np.int32)
    if context.kind == "cheapest":
        possible = possible_exits(plans)
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
            "or the policy would observe what nobody computed"
        )
    bins = np.floor(trace.confidence[:, exit_ - 1] * context.bins)
    return np.minimum(bins, context.bins - 1).astype(np.int32)


def shipping_prices(
    context: Context | None, costs: list[Costs], size: int
) -> np.ndarray:
    """Returns mu times the mean cost of shipping over exits, for every context.

    Args:
        context: what the policy observes.
        costs: costs by condition.
        size: number of contexts.

    Returns:
        [size] float64; zeros unless contexts are conditions.
    """
    if context is None or context.kind != "condition":
        return np.zeros(size)
    return np.array([one.mu * one.offload.mean() for one in costs])


def possible_exits(plans: Plan) -> np.ndarray:
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


def _shipping_price(plans: Plan, costs: Costs) -> np.ndarray:
    """Returns mu times the cost of shipping with each of K plans, [K]."""
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
