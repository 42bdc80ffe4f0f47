"""A policy bound to a scenario: its outcomes on every sample, packed for the engine.

Here: from policy, traces, costs and protocol to tables. Not here: what is run on them
(`evaluate`, `engine`) or exact values (`exact`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jsplit.engine import tables
from jsplit.engine.settings import MAX_INDEX
from jsplit.engine.sums import Replicas
from jsplit.environment import outcomes
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Condition, Scenario
from jsplit.evaluation import feedback
from jsplit.policies.base import Policy
from jsplit.policies.simple import Always, Follow
from jsplit.policies.splitee import split_plans
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Outcome, Plan, Prior, Protocol, RewardRange


@dataclasses.dataclass(frozen=True)
class Bound:
    """A policy bound to a scenario and a protocol: all that the engine needs."""

    policy: Policy
    plans: Plan
    tables: tables.Tables
    prior: Prior
    num_contexts: int
    gap: np.ndarray  # [M, K] float64 as in `tables`
    constant: "Constant | None"  # of a rule that does not learn, under one condition


class Constant(NamedTuple):
    """Means over the N samples of a rule that does the same whatever came before."""

    reward: float
    cost: float
    regret: float  # realised
    gap: np.ndarray  # [K] of every plan's mean reward to the best fixed plan's

    def exact(self, replicas: Replicas, horizon: int) -> Replicas:
        """Returns sums from the table: the order of a sum leaves no trace.

        A rule that does not learn and sees every sample equally often has one value,
        not a distribution; adding its rewards in another order would feign a variance
        of rounding errors.
        """
        ones = np.ones_like(replicas.reward)
        pseudo = replicas.pseudo_regret.copy()
        realised = replicas.realised_regret.copy()
        pseudo[:, -1] = replicas.pulls @ self.gap
        realised[:, -1] = horizon * self.regret
        return replicas._replace(
            reward=horizon * self.reward * ones,
            cost=horizon * self.cost * ones,
            pseudo_regret=pseudo,
            realised_regret=realised,
        )


class Tabulated(NamedTuple):
    """Outcomes of K plans while one condition holds."""

    outcome: Outcome  # [N, K]
    learned: np.ndarray | None  # [N, K] float64, None for the reward itself
    plan_costs: np.ndarray  # [K, L + 1]
    comparator: np.ndarray  # [N] reward of the best fixed plan
    comparator_mean: float


def bind(policy: Policy, scenario: Scenario, protocol: Protocol) -> Bound:
    """Returns a policy's outcomes under every condition, packed for the engine.

    Raises:
        JsplitError: if the policy does not fit the scenario.
    """
    plans = plans_of(policy, scenario.num_exits, protocol)
    num_plans = np.size(plans.depth)
    size = scenario.num_conditions * scenario.num_samples * num_plans
    if size > MAX_INDEX:
        raise JsplitError(
            f"conditions x samples x plans must be at most {MAX_INDEX}, got "
            f"{scenario.num_conditions} x {scenario.num_samples} x {num_plans} for "
            f"policy {policy.label}"
        )
    check_routes(policy, plans, scenario)
    conditions = list(scenario.conditions.values())
    known = [_tabulated(policy, plans, one, protocol) for one in conditions]
    outcome = Outcome(
        *(jnp.concatenate(f) for f in zip(*(k.outcome for k in known), strict=True))
    )
    lossless = all(w.trace.lossless for c in conditions for w in c.all_routes)
    strict = protocol.side_information == "strict"
    learned = [one.learned for one in known if one.learned is not None]
    context = None
    if policy.context is not None:
        context = np.concatenate(
            [
                feedback.contexts(
                    policy.context, m, plans, here.trace, one.outcome, one.plan_costs
                )
                for m, (here, one) in enumerate(zip(conditions, known, strict=True))
            ]
        )
    gap = np.stack(
        [one.comparator_mean - _column_means(one.outcome.reward) for one in known]
    )
    packed = tables.pack(
        outcome,
        jnp.asarray(np.stack([one.plan_costs for one in known])),
        np.concatenate([one.comparator for one in known]),
        gap,
        learned=np.concatenate(learned) if learned else None,
        revealed=feedback.revealed(
            policy, plans, outcome, strict=strict, lossless=lossless
        ),
        context=context,
    )
    constant = None
    if len(known) == 1 and isinstance(policy.selector, Always | Follow):
        constant = _constant(known[0], context, gap[0])
    prior, contexts = _prior(policy, plans, scenario, protocol)
    return Bound(policy, plans, packed, prior, contexts, gap, constant)


def plans_of(policy: Policy, num_exits: int, protocol: Protocol) -> Plan:
    """Returns the K plans of a policy, as arrays on the device."""
    try:
        return _on_device(policy.plans(num_exits, protocol))
    except JsplitError as error:
        raise JsplitError(f"policy {policy.label}: {error}") from None


def check_routes(policy: Policy, plans: Plan, scenario: Scenario) -> None:
    """Raises unless every plan's route is there."""
    wanted, there = int(np.max(plans.route)) + 1, len(scenario.first.all_routes)
    if wanted > there:
        raise JsplitError(
            f"policy {policy.label} needs {wanted} routes, got {there}; see "
            "jsplit.Condition"
        )


def outcomes_of(
    policy: Policy, plans: Plan, trace: Trace, costs: Costs, protocol: Protocol
) -> Outcome:
    """Returns what K plans do on every sample, fields [N, K], whatever their route."""
    answers = outcomes.answers(trace, policy.score)
    billed = outcomes.cost_table(costs)
    return outcomes.tabulate(plans, answers, billed, _all_heads(protocol))


def _tabulated(
    policy: Policy, plans: Plan, condition: Condition, protocol: Protocol
) -> Tabulated:
    routes = condition.all_routes
    by_route = [outcomes_of(policy, plans, *route, protocol) for route in routes]
    chosen = np.asarray(plans.route)

    def select(values: Sequence[Any]) -> Any:
        """Returns every plan's column from the route it ships."""
        if len(values) == 1:
            return values[0]
        stacked = jnp.stack([jnp.asarray(value) for value in values])
        return stacked[chosen, :, jnp.arange(chosen.size)].T

    outcome = Outcome(*map(select, zip(*by_route, strict=True)))
    learned = None
    if policy.learns != "reward":
        rewards = [
            feedback.learning_rewards(policy, plans, *route, one)
            for route, one in zip(routes, by_route, strict=True)
        ]
        learned = np.asarray(select(rewards))
    plan_costs = outcomes.costs_by_route(plans, [route.costs for route in routes])
    comparators = np.asarray(outcome.reward)
    if chosen.size == 1:
        splits = _on_device(split_plans(condition.trace.num_exits, policy.alpha))
        comparators = outcomes.tabulate(
            splits,
            outcomes.answers(condition.trace, "confidence"),
            outcomes.cost_table(condition.costs),
            _all_heads(protocol),
        ).reward
        comparators = np.asarray(comparators)
    means = _column_means(comparators)
    best = int(means.argmax())
    return Tabulated(
        outcome, learned, plan_costs, comparators[:, best], float(means[best])
    )


def _constant(one: Tabulated, context: np.ndarray | None, gap: np.ndarray) -> Constant:
    """Returns what a rule is worth that plays plan 0, or the plan its context names."""
    plan = np.zeros(len(one.comparator), int) if context is None else context
    samples = np.arange(plan.size)
    reward, cost = (
        _column_means(np.asarray(field)[samples, plan][:, None])[0]
        for field in (one.outcome.reward, one.outcome.cost)
    )
    return Constant(reward, cost, one.comparator_mean - reward, gap)


def _prior(
    policy: Policy, plans: Plan, scenario: Scenario, protocol: Protocol
) -> tuple[Prior, int]:
    """Returns what a policy knows beforehand, and the number of contexts."""
    conditions = list(scenario.conditions.values())
    ranges = [
        feedback.reward_range(policy, plans, route.costs, bool(_all_heads(protocol)))
        for one in conditions
        for route in one.all_routes
    ]
    lows, highs = zip(*ranges, strict=True)
    size = feedback.num_contexts(
        policy.context, scenario.num_conditions, np.size(plans.depth)
    )
    price = feedback.shipping_prices(
        policy.context, [one.costs for one in conditions], size
    )
    return Prior(RewardRange(min(lows), max(highs)), price), size


def _column_means(values: Any) -> np.ndarray:
    """Returns the float64 means of [N, K] columns, each summed as if it were alone.

    NumPy adds up one column in another order than several side by side, and a plan
    that is the best one must have its mean to the last bit.
    """
    return np.ascontiguousarray(np.asarray(values, np.float64).T).mean(1)


def _all_heads(protocol: Protocol) -> np.bool_:
    return np.bool_(protocol.learned_cost == "all_heads")


def _on_device(tree: Any) -> Any:
    return jax.tree.map(jnp.asarray, tree)
