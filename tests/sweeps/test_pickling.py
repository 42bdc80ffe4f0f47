"""What a worker is sent comes back as it was: policies, rules, traces, drifts."""

import pickle

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import drift, fitting
from jsplit.types import Protocol

TRACE = random_trace(60, 4, seed=1)
COSTS = jsplit.Costs.splitee(4)
PROTOCOLS = [Protocol.named("paper"), Protocol.named("released")]
FITTED = {
    "best_split": lambda: fitting.best_split(TRACE, COSTS),
    "budget_cascade": lambda: fitting.budget_cascade(TRACE, COSTS, 0.3),
    "risk_controlled_cascade": lambda: fitting.risk_controlled_cascade(TRACE, 0.9),
    "risk_controlled_split": lambda: fitting.risk_controlled_split(TRACE, COSTS, 0.9),
}
DRIFTS = {
    "abrupt": drift.abrupt(3, 7),
    "periodic": drift.periodic(2),
    "recorded": drift.recorded([0, 2, 1, 1]),
    "ramp": drift.ramp(2, 8),
    "mixture": drift.mixture(0.2, 0.3, 0.5),
    "markov": drift.markov([[0.9, 0.1], [0.3, 0.7]]),
}


def travelled(value):
    return pickle.loads(pickle.dumps(value))


def check_policy(policy):
    again = travelled(policy)
    assert again.label == policy.label
    assert again.selector == policy.selector
    for protocol in PROTOCOLS:
        plans, expected = again.plans(4, protocol), policy.plans(4, protocol)
        for name, field in expected._asdict().items():
            np.testing.assert_array_equal(getattr(plans, name), field, err_msg=name)
    for name in ("params", "numbers", "reveal", "learns", "context", "score"):
        assert repr(getattr(again, name)) == repr(getattr(policy, name))


@pytest.mark.parametrize("name", jsplit.policy_names())
def test_every_registered_policy_travels(name):
    check_policy(jsplit.make_policy(name))


@pytest.mark.parametrize("rule", FITTED)
def test_every_fitted_rule_travels(rule):
    check_policy(FITTED[rule]())


@pytest.mark.parametrize("name", DRIFTS)
def test_every_drift_travels(name):
    before = DRIFTS[name]
    again = travelled(before)
    assert again.label == before.label
    num = before.num_conditions or 3
    for ours, theirs in zip(again.chain(11, num), before.chain(11, num), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_traces_costs_and_scenarios_travel():
    conditions = {"good": (TRACE, COSTS), "bad": (TRACE, COSTS)}
    scenario = jsplit.Scenario(conditions, drift.periodic(5))
    again = travelled(scenario)
    assert again.names == scenario.names
    assert again.first.trace.sha256 == TRACE.sha256
    assert again.first.costs.numbers == COSTS.numbers
    assert again.drift.label == scenario.drift.label
