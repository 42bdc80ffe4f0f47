"""What tells policies and scenarios from others, as kept beside finished parts."""

from typing import Any

import numpy as np

from jsplit.environment.scenario import Scenario
from jsplit.policies.base import Policy
from jsplit.types import Protocol


def told_policy(policy: Policy) -> list[str]:
    """Returns what tells a policy from others, whatever its label."""
    parts = (policy.selector, policy.params, policy.score, policy.reveal, policy.learns)
    return [policy.label, *map(repr, parts)]


def told_with_plans(
    policy: Policy, scenario: Scenario, protocol: Protocol
) -> list[Any]:
    """Returns the same with its plans on a scenario, which its label need not say."""
    plans = policy.plans(scenario.num_exits, protocol)
    told = [np.asarray(field).tolist() for field in plans]
    return [
        *told_policy(policy),
        [*told, policy.alpha, policy.context, policy.privileged],
    ]


def told_scenario(scenario: Scenario) -> Any:
    """Returns what tells a scenario from others."""
    conditions = [
        [[route.trace.sha256, route.costs.numbers] for route in one.all_routes]
        for one in scenario.conditions.values()
    ]
    return [conditions, None if scenario.drift is None else scenario.drift.label]
