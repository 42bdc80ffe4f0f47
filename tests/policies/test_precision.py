"""What is learned in float32 is what float64 learns, for any number of rewards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jsplit.pairs import Pair, add, mean_with, two_sum
from jsplit.policies.change import GLRUCB
from jsplit.policies.contextual import LinUCB
from jsplit.policies.running import MeanStats, MomentStats
from jsplit.types import Feedback

STEPS = 400_000
# 95 % of the rewards are a little above the mean, 5 % far below. One word of float32
# forgets the frequent steps first.
OFTEN, RARELY, PERIOD = 0.71, 0.51, 20
MEAN = OFTEN + (RARELY - OFTEN) / PERIOD


def reward_at(step):
    return jnp.where(step % PERIOD == PERIOD - 1, RARELY, OFTEN)


def learned(update, state, steps=STEPS):
    """The state after so many rewards."""
    return jax.jit(
        lambda state: jax.lax.fori_loop(
            0, steps, lambda i, s: update(s, reward_at(i), i), state
        )
    )(state)


def of_selector(selector, params, prices=None):
    """What a selector of two arms learns if only arm 1 is played."""
    if prices is not None:
        params = params._replace(price=jnp.asarray(prices))

    def update(state, reward, step):
        context = None if prices is None else (step // 7) % 2
        return selector.update(
            params, state, Feedback(jnp.int32(1), reward, None, None, context)
        )

    return learned(update, selector.init(params, 2))


def test_two_words_hold_a_sum_exactly():
    rng = np.random.default_rng(0)
    one, other = (rng.lognormal(0, 3, (2, 1000)) * [[1], [-1]]).astype(np.float32)
    high, low = jax.jit(two_sum)(one, other)
    exact = one.astype(np.float64) + other
    np.testing.assert_array_equal(high, exact.astype(np.float32))
    rest = exact - np.asarray(high, np.float64)
    np.testing.assert_array_equal(low, rest.astype(np.float32))


@pytest.mark.parametrize("shift", [0.0, 1e3, -1e5])
def test_means_move_however_small_the_step(shift):
    """Far from 0 too: the step is then far below the last bit of the mean."""
    values = np.float32(shift) + np.array([0.75, 0.5], np.float32)

    def update(mean, reward, step):
        value = jnp.where(reward > 0.6, values[0], values[1])
        return mean_with(mean, value, (step + 1).astype(jnp.float32))

    mean = learned(update, Pair(jnp.float32(0), jnp.float32(0)))
    exact = np.float64([0.95, 0.05]) @ values.astype(np.float64)
    found = np.float64(mean.high) + np.float64(mean.low)
    assert abs(found - exact) < 1e-6
    assert mean.high == np.float32(found)


def test_means_and_variances_are_those_of_float64():
    def update(stats, reward, step):
        return stats.add(reward[None])

    mean = learned(update, MeanStats.zeros(1, ()))
    moments = learned(update, MomentStats.zeros(1, ()))
    variance = (OFTEN - RARELY) ** 2 * 0.05 * 0.95
    for stats in (mean, moments):
        np.testing.assert_allclose(stats.mean, MEAN, atol=2e-7)
    np.testing.assert_allclose(moments.variance, variance, rtol=1e-5)


def test_sums_and_regressions_are_those_of_float64():
    glr = of_selector(GLRUCB(levels=1), GLRUCB().default_params()._replace(every=2**30))
    np.testing.assert_allclose(glr.tally.total[1], STEPS * MEAN, rtol=1e-6)
    selector = LinUCB()
    moments = of_selector(selector, selector.default_params(), [0.3, 0.6])
    prices = np.float32([0.3, 0.6])[np.arange(STEPS) // 7 % 2].astype(np.float64)
    rewards = np.where(np.arange(STEPS) % PERIOD == PERIOD - 1, RARELY, OFTEN)
    off, gain = prices - prices.mean(), rewards - rewards.mean()
    np.testing.assert_allclose(moments.reward.high[1], rewards.mean(), atol=2e-7)
    np.testing.assert_allclose(moments.price.high[1], prices.mean(), rtol=1e-6)
    np.testing.assert_allclose(moments.square.high[1], (off**2).sum(), rtol=1e-5)
    np.testing.assert_allclose(moments.product.high[1], (off * gain).sum(), atol=1e-2)


def test_a_pair_takes_what_is_larger_than_itself():
    pair = add(Pair(jnp.float32(1), jnp.float32(1e-9)), jnp.float32(2**25))
    assert float(pair.high) + float(pair.low) == 2**25 + 1
