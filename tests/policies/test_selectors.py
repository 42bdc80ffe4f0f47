"""Every selector of the field against its twin, a scalar loop over its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import reference_selectors as twins
from conftest import random_trace

import jsplit
from jsplit.environment import outcomes
from jsplit.evaluation import feedback
from jsplit.policies import adversarial, bayes, change, greedy, kl, plans
from jsplit.policies.fixed import confidence_cascade, final_exit, offload_all
from jsplit.policies.splitee import split_plans
from jsplit.types import Feedback, Now, Prior, Protocol, RewardRange

pytestmark = pytest.mark.usefixtures("quick_compile")

N, L = 100, 5  # the shapes of test_causality, so that both share programs
COSTS = jsplit.Costs.splitee(L, offload=0.2)

# name: twin, numbers other than the defaults, and those that the twin is told.
DETERMINISTIC = {
    "ucb_v": (twins.UCBV, {"zeta": 1.3, "c": 0.4}, {}),
    "ucb_tuned": (twins.UCBTuned, {}, {}),
    "kl_ucb": (twins.KLUCB, {"c": 0.5}, {}),
    "bayes_ucb": (twins.BayesUCB, {"sigma": 0.4}, {}),
    "moss": (twins.MOSS, {"a": 0.9}, {}),
    "discounted_ucb": (twins.DiscountedUCB, {"gamma": 0.97, "xi": 0.4}, {}),
    "sliding_window_ucb": (twins.SlidingWindowUCB, {"window": 17, "xi": 0.3}, {}),
    "glr_ucb": (
        twins.GLRUCB,
        {"delta": 1.0, "exploration": 0.2, "every": 5},
        {"levels": change.LEVELS},
    ),
    "explore_then_commit": (twins.ExploreThenCommit, {"plays": 7}, {}),
}


def unit_rewards(trace):
    """Rewards of the splits [N, L], scaled by the ends that their costs allow."""
    costs = (COSTS.compute, COSTS.head, COSTS.offload, COSTS.mu)
    rewards = reference.reward_matrix(
        trace.confidence, trace.remote_confidence, *costs, alpha=0.7, heads="one"
    )
    least = [float(c + h) for c, h in zip(COSTS.compute, COSTS.head, strict=True)]
    most = [least[i] + (float(COSTS.offload[i]) if i < L - 1 else 0) for i in range(L)]
    low, high = -COSTS.mu * max(most), 1 - COSTS.mu * min(least)
    return (rewards - low) / (high - low)


@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.usefixtures("x64")
def test_arms_equal_the_twin(name):
    kind, numbers, more = DETERMINISTIC[name]
    trace = random_trace(N, L, seed=3)
    policy = jsplit.make_policy(name, **numbers)
    result = jsplit.evaluate(
        trace, [policy], COSTS, num_replicas=8, record_arms=True, seed=5
    ).data.isel(policy=0)
    rewards = unit_rewards(trace)
    if not isinstance(policy.selector.default_params(), tuple) or name.startswith("ex"):
        rewards = rewards * 3 - 1  # only means are compared: any scale will do
    chosen = set()
    for replica in range(8):
        twin = kind(L, **numbers, **more)
        want = []
        for t, sample in enumerate(result.order.values[replica], 1):
            want.append(twin.pick(t))
            twin.learn(want[-1], rewards[sample, want[-1]])
        np.testing.assert_array_equal(result.arm.values[replica], want)
        chosen |= set(want[2 * L :])
    assert len(chosen) > 1  # or the index never mattered


def test_beta_thompson_draws_although_rounding_lifts_a_mean_above_1(monkeypatch):
    """Successes of a million perfect rewards are then more than the plays."""
    monkeypatch.setattr(bayes, "best_arm", lambda draws: draws)
    selector, params = bayes.ThompsonBeta(), bayes.BetaParams(0.01, 0.01)
    mean = jnp.nextafter(jnp.ones(2, jnp.float32), jnp.float32(2))
    state = selector.init(params, 2)._replace(mean=mean, known=jnp.full(2, 2.0**20))
    draws = selector.select(params, state, jax.random.key(0), Now(jnp.int32(1), None))
    assert ((draws > 0.99) & (draws <= 1)).all()


def drive(selector, params, rewards, twin, draws_of, check=lambda state: None):
    """Plays [T, K] rewards step by step beside the twin, which sees the same draws."""
    num_arms = rewards.shape[1]
    select, update = jax.jit(selector.select), jax.jit(selector.update)
    state = selector.init(params, num_arms)
    keys = jax.random.split(jax.random.key(7), len(rewards))
    arms = []
    for t, (row, key) in enumerate(zip(rewards, keys, strict=True), 1):
        check(state)
        arm = int(select(params, state, key, Now(jnp.int32(t), None)))
        if selector.initial_plays and t <= num_arms:
            arm = t - 1
        assert arm == twin.pick(t, draws_of(key)), t
        arms.append(arm)
        twin.learn(arm, row[arm])
        feedback = Feedback(jnp.int32(arm), jnp.asarray(row[arm]), None, None)
        state = update(params, state, feedback)
    return arms


def rising(num_steps, num_arms=4, *, seed=0):
    rng = np.random.default_rng(seed)
    return 0.3 * rng.random((num_steps, num_arms)) + 0.2 * np.arange(num_arms)


@pytest.mark.usefixtures("x64")
def test_glr_restarts_as_its_twin_after_a_jump():
    rewards = rising(240)
    rewards[120:] = rewards[120:, ::-1]
    selector = change.GLRUCB(levels=4)
    params = change.GLRParams(0.5, 0.3, 3)
    twin = twins.GLRUCB(4, delta=0.5, exploration=0.3, every=3, levels=4)
    arms = drive(selector, params, rewards, twin, lambda key: None)
    assert twin.restarts >= 1
    assert twin.since < 120  # after the jump, not before
    assert np.bincount(arms[80:120]).argmax() == 3
    assert np.bincount(arms[200:]).argmax() == 0


@pytest.mark.usefixtures("x64")
def test_epsilon_greedy_equals_its_twin_on_the_same_draws():
    numbers = {"epsilon": 2.0, "decay": 0.5}
    drive(
        greedy.EpsilonGreedy(),
        greedy.EpsilonParams(**numbers),
        rising(150),
        twins.EpsilonGreedy(4, **numbers),
        lambda key: np.asarray(jax.random.uniform(key, (2,))),
    )


@pytest.mark.usefixtures("x64")
def test_gaussian_thompson_equals_its_twin_on_the_same_draws():
    drive(
        bayes.ThompsonGaussian(),
        bayes.GaussianParams(0.7),
        rising(100),
        twins.ThompsonGaussian(4, sigma=0.7),
        lambda key: np.asarray(jax.random.normal(key, (4,))),
    )


@pytest.mark.usefixtures("x64")
def test_beta_thompson_equals_its_twin_on_the_same_draws():
    numbers = {"successes": 0.5, "failures": 2.0}

    def draws_of(key):
        return lambda *ab: np.asarray(jax.random.beta(key, *map(jnp.asarray, ab)))

    drive(
        bayes.ThompsonBeta(),
        bayes.BetaParams(**numbers),
        rising(60),
        twins.ThompsonBeta(4, **numbers),
        draws_of,
    )


@pytest.mark.parametrize(
    ("selector", "params", "kind"),
    [
        (adversarial.EXP3(), adversarial.EXP3Params(0.3), twins.EXP3),
        (adversarial.EXP3S(), adversarial.EXP3SParams(0.3, 0.02), twins.EXP3S),
    ],
    ids=["exp3", "exp3_s"],
)
@pytest.mark.usefixtures("x64")
def test_exponential_weights_and_chances_equal_the_twin(selector, params, kind):
    twin = kind(4, **params._asdict())

    def check(state):
        chances = np.asarray(selector.chances(params, state))
        np.testing.assert_allclose(chances, twin.chances(), rtol=1e-9)
        np.testing.assert_allclose(chances.sum(), 1)

    drive(
        selector,
        params,
        rising(80),
        twin,
        lambda key: float(jax.random.uniform(key, ())),
        check,
    )
    assert max(twin.chances()) > 0.4  # it learned something


def test_kl_bound_is_on_the_boundary_in_float32_and_float64():
    mean, bound = np.meshgrid([0, 1e-4, 0.3, 0.5, 0.97, 1], [0, 1e-5, 1e-2, 0.3, 4])
    for wide, tolerance in ((False, 2e-6), (True, 1e-8)):
        with jax.enable_x64(wide):
            found = kl.largest_mean(jnp.asarray(mean), jnp.asarray(bound))
            found = np.asarray(found, np.float64)
        for p, b, q in zip(mean.ravel(), bound.ravel(), found.ravel(), strict=True):
            low, high = p, 1.0
            for _ in range(60):
                middle = (low + high) / 2
                beyond = middle >= 1 or twins.bernoulli_divergence(p, middle) > b
                low, high = (low, middle) if beyond else (middle, high)
            assert abs(q - low) < tolerance, (p, b)


# The range of the rewards.


def range_of(plan, costs=COSTS, *, all_heads=False):
    found = feedback.reward_range("reward", plan, costs, all_heads)
    return [float(end) for end in found]


def test_reward_range_by_hand(x64):
    costs = jsplit.Costs([1, 2, 4], head=0.1, offload=[10, 20, 40], mu=0.5)
    paper = Protocol()
    hand = {
        # Split 1: 1.1 or 11.1; 2: 2.1 or 22.1; 3: 4.1 and never ships.
        "splits": (split_plans(3, 0.7), False, (-11.05, 0.45)),
        "splits, all heads": (split_plans(3, 0.7), True, (-11.1, 0.45)),
        "final": (final_exit().plans(3, paper), False, (-2.05, -1.05)),
        "offload": (offload_all(depth=2).plans(3, paper), False, (-11.0, -10.0)),
        "cascade": (confidence_cascade().plans(3, paper), False, (-2.15, 0.45)),
        "late": (plans.stack([plans.cascade(3, 0.5, delay=1)]), False, (-2.15, -0.1)),
    }
    for name, (plan, all_heads, want) in hand.items():
        found = range_of(plan, costs, all_heads=all_heads)
        np.testing.assert_allclose(found, want, err_msg=name)


@pytest.mark.parametrize("mu", [0.0, 0.3, 2.0])
def test_every_reward_lies_in_the_range_and_near_its_ends(mu):
    costs = jsplit.Costs.splitee(L, offload=0.2, mu=mu)
    rng = np.random.default_rng(0)
    confidence = np.vstack([np.zeros(L), np.ones(L), rng.random((50, L))])
    trace = jsplit.Trace.from_arrays(confidence, correct=confidence > 0.5)
    for name in ("splitee", "splitee_s", "confidence_cascade", "offload_all"):
        policy = jsplit.make_policy(name)
        plan = jax.tree.map(jnp.asarray, policy.plans(L, Protocol()))
        reward = outcomes.tabulate(
            plan,
            outcomes.answers(trace, "confidence"),
            outcomes.cost_table(costs),
            False,
        ).reward
        low, high = range_of(plan, costs)
        assert low - 1e-6 <= reward.min() <= low + 0.3 * mu + 1e-6
        assert high - 1e-6 <= reward.max() <= high + 1e-6


@pytest.mark.usefixtures("x64")
def test_scaled_policies_do_not_depend_on_the_unit_of_rewards():
    """mu and costs of another size: the same decisions where the scaled rewards are."""
    policy = jsplit.make_policy("ucb_tuned")
    params = policy.selector.with_prior(
        policy.params, Prior(RewardRange(-3.0, 1.0), np.zeros(1))
    )
    plain = policy.selector.selector
    rewards = rising(60, seed=2)
    one = policy.selector.init(params, 4)
    other = plain.init(params.inner, 4)
    for t, row in enumerate(rewards, 1):
        arm = jnp.int32((t - 1) % 4)
        unit = Feedback(arm, jnp.asarray(row[arm]), None, None)
        raw = unit._replace(reward=unit.reward * 4 - 3)
        one = policy.selector.update(params, one, raw)
        other = plain.update(params.inner, other, unit)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), one, other)
