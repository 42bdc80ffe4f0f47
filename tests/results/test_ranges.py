"""The range of a step, against every decision that random samples bring about."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit.evaluation.binding import plans_of
from jsplit.evaluation.expected import values_by_sample
from jsplit.policies.registry import parse_policy
from jsplit.results.ranges import exits_within_reach, possible_values

pytestmark = pytest.mark.core
PROTOCOL = jsplit.Protocol()
COSTS = jsplit.Costs.splitee(4, offload=0.3)


@pytest.mark.parametrize(
    ("policy", "exits"),
    [
        ("final_exit", [3]),
        ("offload_all", [4]),
        ("fixed_split(depth=2)", [1, 4]),
        ("confidence_cascade", [0, 1, 2, 3]),
    ],
)
def test_exits_within_reach(policy, exits):
    made = parse_policy(policy)
    found = exits_within_reach(plans_of(made, 4, PROTOCOL))
    assert np.flatnonzero(found[0]).tolist() == exits


@pytest.mark.parametrize(
    "policy", ["final_exit", "offload_all", "fixed_split(depth=2)", "oracle"]
)
def test_ranges_hold_every_value(policy):
    trace = random_trace(500, 4)
    scenario = jsplit.Scenario.of(trace, COSTS)
    made = parse_policy(policy)
    plans = plans_of(made, 4, PROTOCOL)
    possible = possible_values(plans, scenario, PROTOCOL)
    for low, high in possible.values():
        assert low <= high
    if len(plans.depth) > 1:
        assert possible["offloaded"] == (0, 1)
        return
    found = values_by_sample(made, trace, COSTS, PROTOCOL, None)
    for metric, (low, high) in possible.items():
        values = np.asarray(getattr(found, metric), np.float64)
        assert low - 1e-6 <= values.min()
        assert values.max() <= high + 1e-6
    cost = np.asarray(found.cost, np.float64)
    assert (cost.min(), cost.max()) == pytest.approx(possible["cost"], abs=1e-6)
