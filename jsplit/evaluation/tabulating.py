"""What K plans do on every sample under every condition, as one traceable function.

Here: from the arrays of plans, traces and costs to the tables of the replay loop and
the numbers of the selector. `evaluate`, `sweep` and `rollout` all start from these.
Not here: checks and exact means, which need values (`binding`), or the loop (`engine`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit.engine import tables
from jsplit.environment import outcomes
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Route
from jsplit.evaluation import feedback
from jsplit.policies.base import Policy, Selector
from jsplit.policies.splitee import split_plans
from jsplit.traces.trace import Trace
from jsplit.types import (
    Context,
    Outcome,
    Plan,
    Prior,
    Protocol,
    Reveal,
    RewardRange,
    Score,
    Signal,
)


class Kind(NamedTuple):
    """What is compiled in when outcomes are tabulated: hashable, without numbers."""

    selector: Selector  # as the protocol and the contexts ask for
    reveal: Reveal
    learns: Signal
    context: Context | None
    score: Score
    protocol: Protocol
    num_contexts: int


class Setting(NamedTuple):
    """The numbers of a policy and of what it is bound to; a pytree."""

    plans: Plan  # fields [K, ...]
    params: Any  # numbers of the selector
    alpha: Any  # [] threshold of the splits that a single plan is compared with
    conditions: tuple[tuple[Route, ...], ...]  # by condition and route


class Tabulated(NamedTuple):
    """Outcomes of K plans on N samples under M conditions."""

    params: Any  # numbers of the selector, with what it knows beforehand
    outcome: Outcome  # [M * N, K]
    plan_costs: Array  # [M, K, L + 1]
    rivals: Array  # [M, K or L, N] rewards of the plans that regret is taken against
    learned: Array | None  # [M * N, K], None for the reward itself
    revealed: Array | None  # [words, M * N * K] int32, see `tables`
    context: Array | None  # [M * N] int32


def kind_of(
    policy: Policy, num_plans: int, num_conditions: int, protocol: Protocol
) -> Kind:
    """Returns what is compiled in for a policy with K plans under M conditions."""
    size = feedback.num_contexts(policy.context, num_conditions, num_plans)
    return Kind(
        policy.selector.under(protocol).over_contexts(size),
        policy.reveal,
        policy.learns,
        policy.context,
        policy.score,
        protocol,
        size,
    )


def params_of(policy: Policy, kind: Kind) -> Any:
    """Returns the numbers of a policy's selector."""
    return kind.selector.default_params() if policy.params is None else policy.params


def outcomes_of(
    score: Score, plans: Plan, trace: Trace, costs: Costs, protocol: Protocol
) -> Outcome:
    """Returns what K plans do on every sample, fields [N, K], whatever their route."""
    return outcomes.tabulate(
        plans,
        outcomes.answers(trace, score),
        outcomes.cost_table(costs),
        _all_heads(protocol),
    )


def tabulate(kind: Kind, setting: Setting) -> Tabulated:
    """Returns the outcomes of a policy's plans, and what it learns and observes."""
    plans = jax.tree.map(working, setting.plans)
    parts = [
        _under(kind, plans, setting.alpha, number, routes)
        for number, routes in enumerate(setting.conditions)
    ]
    outcome, plan_costs, rivals, learned, context = zip(*parts, strict=True)
    together = jax.tree.map(lambda *fields: jnp.concatenate(fields), *outcome)
    learns_reward = kind.learns == "reward"
    return Tabulated(
        _informed(kind, plans, setting),
        together,
        jnp.stack(plan_costs),
        jnp.stack(rivals),
        None if learns_reward else jnp.concatenate(learned),
        _revealed(kind, plans, together, setting),
        None if kind.context is None else jnp.concatenate(context),
    )


def compare(tabulated: Tabulated, best: Any, gap: Any) -> tables.Tables:
    """Returns the tables of the replay loop.

    Args:
        tabulated: outcomes of K plans on N samples under M conditions.
        best: [M] which of `rivals` has the largest mean.
        gap: [M, K] its mean minus the mean reward of every plan.
    """
    rivals = tabulated.rivals
    best = jnp.asarray(best)[:, None, None]
    return tables.pack(
        tabulated.outcome,
        tabulated.plan_costs,
        jnp.take_along_axis(rivals, best, 1).reshape(-1),
        jnp.asarray(gap),
        learned=tabulated.learned,
        revealed=tabulated.revealed,
        context=tabulated.context,
    )


def gaps(tabulated: Tabulated) -> tuple[Array, Array]:
    """Returns `best` and `gap` of `compare`, from means in float64."""
    rivals, outcome = tabulated.rivals, tabulated.outcome
    num_conditions = rivals.shape[0]
    num_plans = outcome.reward.shape[1]
    own = outcome.reward.reshape(num_conditions, -1, num_plans)
    with jax.enable_x64(True):
        means = rivals.astype(jnp.float64).mean(-1)
        own = own.astype(jnp.float64).mean(1) if num_plans == 1 else means
        gap = (means.max(1, keepdims=True) - own).astype(outcome.reward.dtype)
        is_best = means == means.max(1, keepdims=True)
    return is_best.argmax(1).astype(jnp.int32), gap


def working(values: Any) -> Array:
    """Returns numbers in the working precision."""
    values = jnp.asarray(values)
    if jnp.issubdtype(values.dtype, jnp.floating):
        return values.astype(jnp.result_type(float))
    return outcomes.on_device(values)


def _under(
    kind: Kind, plans: Plan, alpha: Any, number: int, routes: tuple[Route, ...]
) -> tuple[Outcome, Array, Array, Array, Array | None]:
    """Returns what happens under one condition, as `Tabulated` without M."""
    each = [outcomes_of(kind.score, plans, *route, kind.protocol) for route in routes]

    def select(values: Any) -> Array:
        """Returns every plan's column from the route it ships."""
        if len(values) == 1:
            return values[0]
        return outcomes.by_route(plans, [value.T for value in values]).T

    outcome = Outcome(*map(select, zip(*each, strict=True)))
    learned = select(
        [
            feedback.learning_rewards(kind.learns, plans, *route, one)
            for route, one in zip(routes, each, strict=True)
        ]
    )
    plan_costs = outcomes.costs_by_route(plans, [route.costs for route in routes])
    trace, costs = routes[0]
    rivals = outcome.reward
    if rivals.shape[1] == 1:
        threshold: Any = working(alpha)
        splits = jax.tree.map(working, split_plans(trace.num_exits, threshold))
        splits = outcomes_of("confidence", splits, trace, costs, kind.protocol)
        rivals = splits.reward
    context = None
    if kind.context is not None:
        context = feedback.contexts(
            kind.context, number, plans, trace, outcome, plan_costs
        )
    return outcome, plan_costs, rivals.T, learned, context


def _revealed(
    kind: Kind, plans: Plan, outcome: Outcome, setting: Setting
) -> Array | None:
    everywhere = [route.trace.lossless for one in setting.conditions for route in one]
    known = feedback.revealed(
        kind.reveal,
        plans,
        outcome,
        strict=kind.protocol.side_information == "strict",
        lossless=jnp.stack([jnp.asarray(one) for one in everywhere]).all(),
    )
    return None if known is None else tables.bits(known)


def _informed(kind: Kind, plans: Plan, setting: Setting) -> Any:
    """Returns the selector's numbers, completed by what it knows beforehand."""
    ranges = [
        feedback.reward_range(
            kind.learns, plans, route.costs, _all_heads(kind.protocol)
        )
        for one in setting.conditions
        for route in one
    ]
    prices = feedback.shipping_prices(
        kind.context, [one[0].costs for one in setting.conditions], kind.num_contexts
    )
    with jax.enable_x64(True):
        low = jnp.stack([one.low for one in ranges]).min()
        high = jnp.stack([one.high for one in ranges]).max()
    prior = Prior(RewardRange(working(low), working(high)), working(prices))
    params = jax.tree.map(working, setting.params)
    return jax.tree.map(working, kind.selector.with_prior(params, prior))


def _all_heads(protocol: Protocol) -> bool:
    return protocol.learned_cost == "all_heads"
