"""What a single step can come to: the range of every metric, by plans and costs.

Here: `possible_values`, from what is known before any sample is seen. Not here: what
intervals make of it (`stats.bounded`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jsplit.environment import outcomes
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.results import bills
from jsplit.results.bills import Charges
from jsplit.types import Plan, Protocol


def possible_values(
    plans: Plan,
    scenario: Scenario,
    protocol: Protocol,
    charges: Charges | None = None,
) -> dict[str, tuple[float, float]]:
    """Returns the smallest and the largest value of a step, by metric.

    Args:
        plans: K plans, all that a policy may choose.
        scenario: their costs by condition and route.
        protocol: the switches.
        charges: costs and deadlines of every bill; None if there are none.
    """
    exits = exits_within_reach(plans)
    low, high, dearest = np.inf, -np.inf, -np.inf
    for one in scenario.conditions.values():
        costs = [route.costs for route in one.all_routes]
        billed = _prices(plans, costs, all_heads=False)[exits]
        low, high = min(low, billed.min()), max(high, billed.max())
        learns_all = protocol.learned_cost == "all_heads"
        learned = _prices(plans, costs, all_heads=True)[exits] if learns_all else billed
        dearest = max(dearest, learned.max())
    mu = float(np.asarray(scenario.first.costs.mu))
    ships = exits[:, -1]
    found = {
        "accuracy": (0.0, 1.0),
        "cost": (float(low), float(high)),
        "offloaded": (float(not exits[:, :-1].any()), float(ships.any())),
        "reward": (-mu * float(dearest), 1 - mu * float(low)),
        "true_reward": (-mu * float(high), 1 - mu * float(low)),
    }
    if charges is not None:
        of_bills = bills.metrics_of(charges.costs, charges.deadlines)
        for metric, (bill, variable, _) in of_bills.items():
            routes = [
                _prices(plans, one, all_heads=False) for one in charges.costs[bill]
            ]
            prices = np.stack(routes)[:, exits]
            ends = float(prices.min()), float(prices.max())
            found[metric] = (0.0, 1.0) if variable == "bill_late" else ends
    return found


def exits_within_reach(plans: Plan) -> np.ndarray:
    """Tells which exits K plans can take, [K, L + 1]; the last one is shipping.

    Args:
        plans: K plans.
    """
    threshold = np.asarray(plans.threshold)
    depth, delay = (np.asarray(part)[:, None] for part in (plans.depth, plans.delay))
    num_exits = threshold.shape[-1]
    exits = np.arange(num_exits)
    on_device = exits < depth
    may_stop = (on_device & (threshold < np.inf)) | (exits == num_exits - 1)
    always = on_device & (threshold == -np.inf)
    # Nothing passes an exit that always stops.
    passed = np.cumsum(always, -1) - always == 0
    may_stop &= passed
    ships = may_stop & (exits >= depth) & (depth < num_exits)
    found = np.zeros((len(threshold), num_exits + 1), bool)
    rows, at = np.nonzero(may_stop & ~ships)
    found[rows, np.minimum(at + delay[rows, 0], num_exits - 1)] = True
    found[:, -1] = ships.any(-1)
    return found


def _prices(plans: Plan, costs: Sequence[Costs], *, all_heads: bool) -> np.ndarray:
    """Returns what K plans cost at each exit, [K, L + 1]."""
    tables: Any = [
        outcomes.costs_by_exit(plans, outcomes.cost_table(one), all_heads)
        for one in costs
    ]
    return np.asarray(outcomes.by_route(plans, tables), np.float64)
