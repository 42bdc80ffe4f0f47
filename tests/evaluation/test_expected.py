"""Rules that do not learn as a differentiable function of costs and thresholds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import random_trace

import jsplit
from jsplit import JsplitError
from jsplit.policies import plans
from jsplit.policies.simple import Always

pytestmark = pytest.mark.core

L = 4
TRACE = random_trace(150, L)
COSTS = jsplit.Costs.splitee(L, offload=0.3, mu=0.7)
RULES = ["final_exit", "offload_all", "fixed_split(depth=2)", "confidence_cascade"]


def cascade(thresholds):
    def build(num_exits, protocol):
        del protocol
        return plans.stack([plans.cascade(num_exits, thresholds)])

    return jsplit.Policy("fitted", build, Always())


@pytest.mark.parametrize("rule", RULES)
def test_means_are_those_of_exact_values(rule):
    table = jsplit.exact_values(TRACE, [rule], COSTS).data["mean"].isel(policy=0)
    found = jax.jit(lambda costs: jsplit.expected(rule, TRACE, costs))(COSTS)
    sharp = jsplit.expected(rule, TRACE, COSTS, temperature=1e-6)
    for name in found._fields:
        wanted = table.sel(metric=name).item()
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-5)
        np.testing.assert_allclose(getattr(sharp, name), wanted, rtol=1e-4)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["confidence_cascade", "fixed_split"])
def test_gradients_are_differences(name):
    def reward(alpha, offload):
        costs = jsplit.Costs.splitee(L, offload=offload)
        rule = jsplit.make_policy(name, alpha=alpha)
        return jsplit.expected(rule, TRACE, costs, temperature=0.05).reward

    at, step = (0.7, 0.3), 1e-5
    for number, slope in enumerate(jax.grad(reward, (0, 1))(*at)):
        up, down = (
            reward(*(x + sign * step * (i == number) for i, x in enumerate(at)))
            for sign in (1, -1)
        )
        np.testing.assert_allclose(slope, (up - down) / (2 * step), atol=1e-7)
    assert jax.grad(lambda o: reward(0.7, o))(0.3) <= 0


def test_thresholds_can_be_fitted():
    def loss(thresholds):
        rule = cascade(thresholds)
        return -jsplit.expected(rule, TRACE, COSTS, temperature=0.02).reward

    thresholds = jnp.full(L, 0.9)
    before = loss(thresholds)
    optimizer = optax.adam(0.02)
    state = optimizer.init(thresholds)

    @jax.jit
    def step(thresholds, state):
        slope = jax.grad(loss)(thresholds)
        moves, state = optimizer.update(slope, state)
        return optax.apply_updates(thresholds, moves), state

    for _ in range(60):
        thresholds, state = step(thresholds, state)
    assert np.isfinite(thresholds).all()
    assert loss(thresholds) < before - 0.01


def test_a_policy_that_learns_is_refused():
    with pytest.raises(JsplitError, match="single plan, got splitee with 4"):
        jsplit.expected("splitee", TRACE, COSTS)
