"""What a policy observes: a context before it chooses, rewards after.

Here: contexts; the rewards a policy learns from, their range and whose become known;
the price of shipping. Not here: what a plan does (`environment.outcomes`) or how a
policy learns (`policies`). A policy is judged by the reward, whatever it learns from.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jsplit import checks
from jsplit.environment import outcomes
from jsplit.environment.costs import Costs
from jsplit.traces.trace import Trace
from jsplit.types import (
    Context,
    JsplitError,
    Outcome,
    Plan,
    Reveal,
    RewardRange,
    Signal,
)

WORTHLESS = 2.0**-30
"""Reward of shipping instead of 0, see `learning_rewards`."""


def learning_rewards(
    learns: Signal, plans: Plan, trace: Trace, costs: Costs, outcome: Outcome
) -> Array:
    """Returns the reward that a policy learns from, for each plan on each sample.

    For plan k with deepest exit d, which answers with exit i or ships after d, and C
    the confidence, `learns` is

    - "reward": confidence of the answer minus mu times its cost.
    - "gain": max(C_cloud - C_d, 0) - mu * offload_d if shipped, else 0.
    - "disagreement": 1[the answer differs from exit 1's] minus mu times its cost.
    - "agreement": 1 - mu * offload_d if shipped, else 1[exit i answers as the cloud].

    "agreement" is never exactly 0 for a shipped sample: where mu * offload_d is 1 it is
    `WORTHLESS` instead. So its reward always differs from the reward 0 of an answer
    that the cloud disagrees with.

    "disagreement" and "agreement" compare predictions. A trace has no predictions of
    the cloud over a lossy link, so they need a lossless one, see `needs`.

    Args:
        learns: what is learned from.
        plans: K plans.
        trace: N samples.
        costs: costs for its exits.
        outcome: what the plans do on the trace, fields [N, K].

    Returns:
        [N, K] in the working precision, computed in float64.
    """
    reward = outcome.reward
    if learns == "reward":
        return reward
    shipped = outcome.exit == costs.num_exits
    price = _shipping_price(plans, costs)
    if learns == "gain":
        deepest = jnp.maximum(jnp.asarray(plans.depth) - 1, 0)
        own = in_own_precision(trace.confidence, deepest)
        cloud = in_own_precision(trace.remote_confidence, deepest)
        with jax.enable_x64(True):
            gain = (jnp.maximum(cloud - own, 0) - price).astype(reward.dtype)
        return jnp.where(shipped, gain, 0)
    prediction = jnp.asarray(trace.prediction)
    exits = jnp.minimum(outcome.exit, trace.num_exits - 1)
    answer = jnp.take_along_axis(prediction, exits, 1)
    if learns == "disagreement":
        differs = answer != prediction[:, :1]
        with jax.enable_x64(True):
            bill = exactly(costs.mu) * outcome.cost.astype(jnp.float64)
            # No bill is below 0, but without this the compiler may fuse product and
            # difference, and round once where NumPy rounds twice.
            bill = jnp.maximum(bill, 0)
            return (differs.astype(jnp.float64) - bill).astype(reward.dtype)
    with jax.enable_x64(True):
        worth = jnp.where(price == 1, WORTHLESS, 1 - price).astype(reward.dtype)
    agrees = (answer == prediction[:, -1:]).astype(reward.dtype)
    return jnp.where(shipped, worth, agrees)


def reward_range(
    learns: Signal, plans: Plan, costs: Costs, learn_all_heads: Array | bool
) -> RewardRange:
    """Returns an interval that holds all `learning_rewards`, whatever the trace.

    Confidences are in [0, 1], and a plan costs what one of its possible exits costs.

    Args:
        learns: what is learned from.
        plans: K plans.
        costs: costs for the exits.
        learn_all_heads: the policy learns as if every head had been evaluated
            (`Protocol.learned_cost`).

    Returns:
        Numbers in float64.
    """
    possible = possible_exits(plans)
    if learns in ("gain", "agreement"):
        ships = possible[:, -1]
        price = _shipping_price(plans, costs)
        with jax.enable_x64(True):
            worth = 1 - price
            ends = [worth, worth if learns == "agreement" else -price]
            least, most = (1.0 if learns == "agreement" else 0.0), 0.0
            ends = [jnp.where(ships, end, 0.0) for end in ends]
            return RewardRange(
                jnp.minimum(0.0, jnp.stack(ends).min()),
                jnp.maximum(max(least, most), jnp.stack(ends).max()),
            )
    all_heads = learn_all_heads if learns == "reward" else False
    table = outcomes.costs_by_exit(plans, outcomes.cost_table(costs), all_heads)
    with jax.enable_x64(True):
        paid = table.astype(jnp.float64)
        mu = exactly(costs.mu)
        most_paid = jnp.where(possible, paid, -jnp.inf).max()
        least_paid = jnp.where(possible, paid, jnp.inf).min()
        least_bill = jnp.maximum(mu * least_paid, 0)  # as in `learning_rewards`
        return RewardRange(-mu * most_paid, 1 - least_bill)


def revealed(
    reveal: Reveal, plans: Plan, outcome: Outcome, *, strict: bool, lossless: Any
) -> Array | None:
    """Returns whose rewards become known after playing each plan on each sample.

    It depends on `reveal`:

    - "own": only the played plan's.
    - "prefix": see `side_information`.
    - "shipped": the reward of a plan that ships is always known. The reward of a plan
      that answers on the device is known only if the played plan shipped, by the same
      route: only the cloud can judge the answer.
    - "all": every plan's.

    Args:
        reveal: whose rewards become known.
        plans: K plans.
        outcome: what the plans do, fields [N, K].
        strict: as in `side_information`.
        lossless: as in `side_information`.

    Returns:
        [N, K, K] bool: sample, played plan, plan whose reward becomes known; None for
        "own".
    """
    if reveal == "own":
        return None
    if reveal == "prefix":
        return side_information(plans, outcome.exit, strict=strict, lossless=lossless)
    num_exits = jnp.asarray(plans.threshold).shape[-1]
    shipped = outcome.exit == num_exits
    if reveal == "all":
        return jnp.ones((*shipped.shape, shipped.shape[1]), bool)
    return shipped[:, None, :] | (shipped[:, :, None] & _same_route(plans)[None])


@functools.partial(jax.jit, static_argnames="strict")
def side_information(
    plans: Plan, exits: Array, *, strict: bool, lossless: Array | bool
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
    plan_costs: Array,
) -> Array:
    """Returns the context of every sample while `condition` holds.

    Args:
        context: what the policy observes, see `check_context`.
        condition: number of the condition, from 0.
        plans: K plans.
        trace: trace of the condition, N samples.
        outcome: what the plans do, fields [N, K].
        plan_costs: [K, L + 1] cost of each plan at each exit, last = shipped.

    Returns:
        [N] int32, from 0.
    """
    samples = jnp.zeros(trace.num_samples, jnp.int32)
    if context.kind == "condition":
        return samples + condition
    if context.kind == "best":
        return outcome.reward.argmax(1).astype(jnp.int32)
    if context.kind == "cheapest":
        paid = jnp.where(possible_exits(plans), plan_costs, jnp.inf).min(1)
        return samples + paid.argmin().astype(jnp.int32)
    with jax.enable_x64(True):
        seen = jnp.asarray(trace.confidence)[:, context.exit - 1]
        bins = jnp.floor(seen * context.bins)
        return jnp.minimum(bins, context.bins - 1).astype(jnp.int32)


def check_context(context: Context | None, plans: Plan) -> None:
    """Raises unless K plans fit what a policy observes; traced plans always do."""
    if context is None or context.kind in ("condition", "best"):
        return
    traced = checks.is_traced(plans)
    if context.kind == "cheapest":
        if not traced and (np.asarray(possible_exits(plans)).sum(1) != 1).any():
            raise JsplitError(
                "context 'cheapest' needs plans whose cost does not depend on the "
                "sample: each must always take the same exit"
            )
        return
    num_exits = np.shape(plans.threshold)[1]
    exit_ = checks.integer("exit of context", context.exit, 1, num_exits)
    checks.integer("bins of context", context.bins, 1)
    if traced:
        return
    threshold, depth, heads = map(
        np.asarray, (plans.threshold, plans.depth, plans.heads)
    )
    runs = heads[:, exit_ - 1] & (depth >= exit_)
    if not (runs & (threshold[:, : exit_ - 1] == np.inf).all(1)).all():
        raise JsplitError(
            f"context 'confidence' of exit {exit_} needs plans that all run its head, "
            "or the policy would observe what nobody computed"
        )


def shipping_prices(
    context: Context | None, costs: Sequence[Costs], size: int
) -> Array:
    """Returns mu times the mean cost of shipping over exits, for every context.

    Args:
        context: what the policy observes.
        costs: costs by condition.
        size: number of contexts.

    Returns:
        [size] float64; zeros unless contexts are conditions.
    """
    with jax.enable_x64(True):
        if context is None or context.kind != "condition":
            return jnp.zeros(size)
        means = [exactly(one.mu) * _pairwise_mean(one.offload) for one in costs]
        return jnp.stack(means)


def possible_exits(plans: Plan) -> Array:
    """Returns which exits K plans can take, [K, L + 1] bool, last = shipped."""
    threshold, depth, delay = map(
        jnp.asarray, (plans.threshold, plans.depth, plans.delay)
    )
    num_exits = threshold.shape[1]
    exits = jnp.arange(num_exits)[None]
    on_device = exits < depth[:, None]
    always = (threshold == -jnp.inf) & on_device
    # None before this one always stops.
    passed = jnp.cumsum(always, 1, jnp.int32) == always.astype(jnp.int32)
    stops = on_device & (threshold < jnp.inf) & passed
    through = ~always.any(1)
    answers = jnp.minimum(exits + delay[:, None], num_exits - 1)  # [K, L]
    found = (stops[:, :, None] & (answers[:, :, None] == exits[None])).any(1)
    found = found | (
        (through & (depth == num_exits))[:, None] & (exits == num_exits - 1)
    )
    return jnp.concatenate([found, (through & (depth < num_exits))[:, None]], 1)


def exactly(number: Any) -> Array:
    """Returns a number in float64, within `jax.enable_x64(True)`."""
    return jnp.asarray(number, jnp.float64)


def in_own_precision(values: Any, columns: Array) -> Array:
    """Returns columns of an array in the precision it has, whatever JAX uses."""
    with jax.enable_x64(True):
        return jnp.take(jnp.asarray(values), columns, axis=1, mode="clip")


def _shipping_price(plans: Plan, costs: Costs) -> Array:
    """Returns mu times the cost of shipping with each of K plans, [K] float64."""
    depth = jnp.asarray(plans.depth)
    deepest = depth[:, None] - 1 == jnp.arange(costs.num_exits)[None]
    with jax.enable_x64(True):
        shipping = jnp.where(deepest, exactly(costs.offload)[None], 0).sum(1)
        return exactly(costs.mu) * jnp.where(depth > 0, shipping, exactly(costs.input))


def _pairwise_mean(values: Any) -> Array:
    """Returns the mean of [L] numbers, to the last bit of NumPy's for L < 129."""
    values = exactly(values)
    size = values.shape[0]
    if size < 8:
        parts, rest = values[:1], values[1:]
    else:
        whole = size - size % 8
        parts, rest = values[:8], values[whole:]
        for start in range(8, whole, 8):
            parts = parts + values[start : start + 8]
    while parts.shape[0] > 1:
        parts = parts[::2] + parts[1::2]
    total = parts[0]
    for number in range(rest.shape[0]):
        total = total + rest[number]
    # Not a constant: the compiler would multiply by its reciprocal.
    return total / lax.optimization_barrier(exactly(size))
