"""What a rule that does not learn is worth, from the table: no replay, differentiable.

Here: `expected`, the traceable core of `exact_values`, with thresholds that may be
softened. Not here: intervals (`exact`) or policies that learn (`rollout`).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit import checks
from jsplit.environment import outcomes
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import check_inputs
from jsplit.evaluation.binding import check_routes, plans_of
from jsplit.evaluation.needs import check_needs
from jsplit.evaluation.tabulating import outcomes_of, working
from jsplit.policies.base import Policy
from jsplit.policies.registry import parse_policy
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Plan, Protocol, Score


class Expected(NamedTuple):
    """Values of a rule: means over the samples, [], or by sample, [N]."""

    accuracy: Array
    offloaded: Array
    cost: Array
    reward: Array  # by confidence
    true_reward: Array  # accuracy - mu * cost


def expected(
    policy: str | Policy,
    trace: Trace,
    costs: Costs,
    *,
    temperature: Any = 0.0,
    protocol: str | Protocol = "paper",
) -> Expected:
    """Returns the means over all samples of a rule that does not learn.

    Traceable and differentiable in the costs and, where softened, in the thresholds:
    exit i then stops a sample with chance sigmoid((score_i - threshold_i) /
    temperature), so that an optimizer can move thresholds.

    Args:
        policy: a name, label or policy with a single plan; made inside the function
            that is differentiated, its thresholds may be traced.
        trace: what the network says at every exit, N samples, L exits.
        costs: costs for the L exits.
        temperature: >= 0, in the unit of the score; 0 = a step, as the rule is.
        protocol: "paper", "released" or a `Protocol`.

    Returns:
        accuracy, offloaded, cost, reward and true_reward, each a number.

    Raises:
        JsplitError: if an argument is out of its range or the policy has several plans.

    Example:
        >>> import jax
        >>> import jsplit
        >>> trace, costs = jsplit.sample_trace("digits"), jsplit.Costs.splitee(6)
        >>> def reward(alpha):
        ...     rule = jsplit.make_policy("confidence_cascade", alpha=alpha)
        ...     return jsplit.expected(rule, trace, costs, temperature=0.02).reward
        >>> bool(jax.grad(reward)(0.9) < 0)  # a lower threshold is worth more
        True
    """
    policy = parse_policy(policy) if isinstance(policy, str) else policy
    check_inputs(trace, costs)
    temperature = checks.number("temperature", temperature, 0.0)
    soft = checks.is_traced(temperature) or temperature > 0
    by_sample = values_by_sample(
        policy, trace, costs, Protocol.named(protocol), temperature if soft else None
    )
    return jax.tree.map(lambda values: jnp.mean(values, dtype=float), by_sample)


def values_by_sample(
    policy: Policy, trace: Trace, costs: Costs, protocol: Protocol, temperature: Any
) -> Expected:
    """Returns the values of a rule on each of N samples.

    Args:
        policy: a policy with a single plan.
        trace: N samples, L exits.
        costs: costs for the L exits.
        protocol: the switches.
        temperature: > 0, or None for thresholds that are steps.

    Raises:
        JsplitError: if the policy has several plans, or other routes than one.
    """
    return _values(
        policy.score,
        protocol,
        single_plan(policy, trace, protocol),
        trace,
        costs,
        temperature,
    )


def single_plan(policy: Policy, trace: Trace, protocol: Protocol) -> Plan:
    """Returns the only plan of a policy, with a leading axis [1].

    Raises:
        JsplitError: if the policy has several, or other routes than one.
    """
    plans = plans_of(policy, trace.num_exits, protocol)
    check_routes(policy, plans, 1)
    check_needs(policy, plans, trace)
    if jnp.size(plans.depth) != 1:
        raise JsplitError(
            f"policies must have a single plan, got {policy.label} with "
            f"{jnp.size(plans.depth)}; use evaluate"
        )
    return plans


@functools.partial(jax.jit, static_argnums=(0, 1))
def _values(
    score: Score,
    protocol: Protocol,
    plans: Plan,
    trace: Trace,
    costs: Costs,
    temperature: Any,
) -> Expected:
    plans = jax.tree.map(working, plans)
    mu = outcomes.cost_table(costs).mu
    if temperature is None:
        outcome = outcomes_of(score, plans, trace, costs, protocol)
        reward, cost, correct, taken = (field[:, 0] for field in outcome)
        shipped = (taken == trace.num_exits).astype(reward.dtype)
        correct = correct.astype(reward.dtype)
    else:
        learn_all = protocol.learned_cost == "all_heads"
        answers = outcomes.answers(trace, score)
        table = outcomes.cost_table(costs)
        plan = jax.tree.map(lambda leaf: leaf[0], plans)
        each = functools.partial(
            outcomes.run_softly, plan, costs=table, learn_all_heads=learn_all
        )
        reward, cost, correct, shipped = jax.vmap(
            lambda sample: each(sample, temperature=temperature)
        )(answers)
    return Expected(correct, shipped, cost, reward, correct - mu * cost)
