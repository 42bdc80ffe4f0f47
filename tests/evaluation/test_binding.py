"""Many settings bound in one call: the bits of each bound alone."""

import jax
import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import JsplitError, Protocol
from jsplit.evaluation.binding import alike, bind, prepare
from jsplit.policies.registry import policy_numbers

pytestmark = pytest.mark.core

L, PAPER = 4, Protocol()
TRACES = [random_trace(50, L, seed=seed) for seed in range(3)]


def condition(trace, offload, mu):
    here, there = (
        jsplit.Costs.splitee(L, offload=offload * times, mu=mu) for times in (1, 2)
    )
    return jsplit.Condition(trace, here, ((trace, there),))


def scenario(trace, offload, mu=0.7):
    """Two conditions with two routes each."""
    conditions = {
        "a": condition(trace, offload, mu),
        "b": condition(TRACES[2], offload * 3, mu),
    }
    return jsplit.Scenario(conditions, jsplit.drift.periodic(10))


def single(trace, offload, mu=0.7):
    return jsplit.Scenario.of(trace, jsplit.Costs.splitee(L, offload=offload, mu=mu))


def prepared(pairs):
    return [prepare(policy, where, PAPER) for policy, where in pairs]


def numbers(bound, s):
    arrays = jax.tree.map(lambda x: x[s], (bound.params, bound.tables))
    return *arrays, bound.gap[s], bound.constants[s]


def assert_each_as_alone(pairs):
    settings = prepared(pairs)
    many = bind(settings)
    for number, (policy, _) in enumerate(pairs):
        wanted = numbers(bind([settings[number]]), 0)
        found = numbers(many, number)
        leaves = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
        for one, other in leaves:
            one, other = np.asarray(one), np.asarray(other)
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert one.tobytes() == other.tobytes(), policy.label


QUICK = ("splitee_s", "adaee", "uee_ucb", "linucb", "oracle", "entropy_cascade")


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in jsplit.policy_names()
    ],
)
def test_every_setting_has_the_bits_it_has_alone(name):
    alphas = [{"alpha": x} for x in (0.6, 0.7)] * ("alpha" in policy_numbers(name))
    one, two = [jsplit.make_policy(name, **x) for x in alphas or ({}, {})]
    if name != "route_ucb":
        assert_each_as_alone(
            [(one, single(TRACES[0], 0.3)), (two, single(TRACES[0], 0.4, 1.1))]
        )
    if name not in ("dynamic_split",):
        pairs = [(one, scenario(TRACES[0], 0.3)), (two, scenario(TRACES[1], 0.2, 1.3))]
        assert_each_as_alone(pairs)


def test_settings_are_grouped_by_structure():
    make = jsplit.make_policy
    here, other = single(TRACES[0], 0.3), single(random_trace(40, L), 0.3)
    pairs = [
        (make("splitee", alpha=0.6), here),
        (make("splitee_s"), here),
        (make("splitee", beta=2.0), single(TRACES[1], 0.1)),
        (make("splitee"), other),
        (make("adaee", num_thresholds=3), here),
        (make("adaee"), here),
    ]
    settings = prepared(pairs)
    assert alike(settings) == [[0, 2], [1], [3], [4], [5]]
    with pytest.raises(JsplitError, match="settings must have equal structure"):
        bind(settings)
