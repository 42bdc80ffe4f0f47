"""Learners that are told something, against loops over their formulas, in float64."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_contextual as twins
from conftest import random_trace
from reference_contextual import Arm, Routes, act

import jsplit
from jsplit.engine import replay
from jsplit.evaluation import feedback
from jsplit.evaluation.binding import plans_of
from jsplit.evaluation.tabulating import outcomes_of
from jsplit.policies import contextual, hedge, hierarchical, simple
from jsplit.policies import plans as plan_makers
from jsplit.policies.base import Policy
from jsplit.policies.index import UCBParams
from jsplit.types import (
    Feedback,
    JsplitError,
    Now,
    Outcome,
    Prior,
    Protocol,
    RewardRange,
)

pytestmark = pytest.mark.usefixtures("quick_compile")

N, L, REPLICAS = 100, 5, 3  # programs are those of test_causality
COSTS = jsplit.Costs.splitee(L, offload=0.2)

# One selector at a time.


def drive(selector, params, twin, rewards, known, contexts, *, draws_of=None, told=0):
    """Plays [T, K] rewards beside the twin; `told` says what the twin is told of them.

    `known(arm)` are the arms whose rewards a play makes known, None for its own alone.
    """
    num_arms = rewards.shape[1]
    select, update = jax.jit(selector.select), jax.jit(selector.update)
    state = selector.init(params, num_arms)
    keys = jax.random.split(jax.random.key(3), len(rewards))
    arms = []
    for t, (row, key, here) in enumerate(zip(rewards, keys, contexts, strict=True), 1):
        context = jnp.int32(here)
        arm = int(select(params, state, key, Now(jnp.int32(t), context)))
        draws = None if draws_of is None else draws_of(key)
        assert arm == twin.pick(t, int(here), draws), t
        arms.append(arm)
        seen = [arm] if known is None else known(t - 1, arm)
        reward = jnp.asarray(row[arm])
        feedback = Feedback(jnp.int32(arm), reward, None, None, context)
        if known is not None:
            revealed = np.isin(np.arange(num_arms), seen)
            hidden = np.where(revealed, row, 9.0)  # would show if it were looked at
            feedback = feedback._replace(
                rewards=jnp.asarray(hidden), revealed=jnp.asarray(revealed)
            )
        state = update(params, state, feedback)
        twin.learn(int(here), arm, {j: (told or row.__getitem__)(j) for j in seen})
    return np.array(arms)


def bandit(num_steps=150, num_arms=4, num_contexts=3, seed=0):
    """Rewards whose best arm depends on the context."""
    rng = np.random.default_rng(seed)
    contexts = rng.integers(0, num_contexts, num_steps)
    best = (np.arange(num_arms) == (2 * contexts % num_arms)[:, None]) * 0.5
    return rng.random((num_steps, num_arms)) * 0.5 + best, contexts


def shallower(step, arm):
    return list(range(arm + 1))


@pytest.mark.parametrize("known", [None, shallower], ids=["own", "prefix"])
@pytest.mark.usefixtures("x64")
def test_contextual_ucb_equals_its_twin(known):
    rewards, contexts = bandit()
    arms = drive(
        contextual.ContextualUCB(3),
        UCBParams(0.4),
        twins.ContextualUCB(3, 4, 0.4),
        rewards,
        known,
        contexts,
    )
    for context in range(3):
        there = arms[contexts == context]
        assert np.bincount(there[20:], minlength=4).argmax() == 2 * context % 4


def test_contextual_ucb_forgets_nothing_of_other_contexts(x64):
    """Context 1 starts afresh after 50 rounds in context 0: arms in order, ln 1 = 0."""
    rewards, contexts = bandit(60)
    contexts = np.repeat([0, 1], [50, 10])
    twin = twins.ContextualUCB(2, 4, 1.0)
    arms = drive(
        contextual.ContextualUCB(2), UCBParams(1.0), twin, rewards, None, contexts
    )
    assert arms[:4].tolist() == arms[50:54].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("known", [None, shallower], ids=["own", "prefix"])
@pytest.mark.usefixtures("x64")
def test_linucb_equals_the_inverse_of_its_matrix(known):
    prices = np.array([0.1, 0.5, 1.3])
    rewards, contexts = bandit(seed=1)
    selector = contextual.LinUCB()
    params = selector.default_params()._replace(beta=0.3)
    params = selector.with_prior(params, Prior(RewardRange(0.0, 1.0), prices))
    drive(selector, params, twins.LinUCB(prices, 4, 0.3), rewards, known, contexts)


def test_linucb_keeps_its_digits_in_float32():
    """After 20,000 rewards at one price, raw sums would have none left."""
    selector = contextual.LinUCB()
    params = contextual.LinParams(1.0, np.array([0.3, 0.6], np.float32))
    rng = np.random.default_rng(0)
    rewards = rng.random((20_000, 2)).astype(np.float32)

    def step(state, reward):
        seen = Feedback(jnp.int32(0), reward[0], reward, jnp.array([True, True]))
        return selector.update(params, state, seen._replace(context=jnp.int32(0))), None

    state, _ = jax.jit(lambda r: jax.lax.scan(step, selector.init(params, 2), r))(
        jnp.asarray(rewards)
    )
    x = np.array([1.0, 0.3], np.float32).astype(float)
    total = np.outer(x, x) * len(rewards) + np.eye(2)
    theta = np.linalg.solve(total, np.outer(x, rewards.sum(0, dtype=float)))
    np.testing.assert_allclose(
        state.reward.high, rewards.mean(0, dtype=float), rtol=1e-4
    )
    for price in (0.3, 0.6):
        point = np.array([1.0, price])
        want = point @ theta + np.sqrt(point @ np.linalg.solve(total, point))
        index = contextual.linucb_index(params, state, jnp.float32(price)[None])
        np.testing.assert_allclose(index, want, rtol=2e-3)


@pytest.mark.usefixtures("x64")
def test_linucb_carries_over_to_a_price_it_never_saw():
    """Arm 1 gains with the price, arm 0 does not: learnt at 0 and 1, asked at 3."""
    selector = contextual.LinUCB()
    params = contextual.LinParams(0.0, np.array([0.0, 1.0, 3.0]))
    state = selector.init(params, 2)
    for context in [0, 1] * 30:
        for arm, reward in ((0, 0.9), (1, 0.5 * context)):
            seen = Feedback(
                jnp.int32(arm), jnp.float64(reward), None, None, jnp.int32(context)
            )
            state = selector.update(params, state, seen)

    def arm_in(context):
        now = Now(jnp.int32(99), jnp.int32(context))
        return int(selector.select(params, state, jax.random.key(0), now))

    assert [arm_in(0), arm_in(1), arm_in(2)] == [0, 0, 1]


@pytest.mark.parametrize("monotone", [True, False], ids=["hi_lcb", "lite"])
@pytest.mark.usefixtures("x64")
def test_hi_lcb_equals_its_twin(monotone):
    rng = np.random.default_rng(5)
    bins = rng.integers(0, 6, 300)
    agrees = rng.random(300) < 0.3 + 0.14 * bins
    rewards = np.stack([agrees, np.full(300, 0.6)], 1).astype(float)

    def known(step, arm):
        return [0, 1] if arm == hierarchical.SHIP else [1]

    selector = hierarchical.HILCB(monotone, 6)
    params = hierarchical.LCBParams(0.2)
    twin = twins.HILCB(6, 0.2, monotone=monotone)
    arms = drive(selector, params, twin, rewards, known, bins)
    share = [arms[bins == b][-15:].mean() for b in range(6)]
    assert share[0] == 1  # always ships where agreement, 0.3, is below 0.6
    assert share[5] < 0.2  # seldom where it is 1: only when ln t asks again


@pytest.mark.usefixtures("x64")
def test_hedge_equals_its_twin_on_the_same_draws():
    rewards, contexts = bandit(200)
    rewards[:, 2] += 0.5
    arms = drive(
        hedge.Hedge(),
        hedge.HedgeParams(0.2),
        twins.Hedge(4, 0.2),
        rewards,
        lambda step, arm: range(4),
        contexts,
        draws_of=lambda key: float(jax.random.uniform(key, ())),
    )
    assert (arms[-60:] == 2).mean() > 0.9


@pytest.mark.parametrize("fee", [0.0, 0.3, 0.99])
@pytest.mark.usefixtures("x64")
def test_exploring_hedge_equals_its_twin_on_the_same_draws(fee):
    rng = np.random.default_rng(8)
    confidence, agrees = rng.random(250), rng.random(250) < 0.5
    alphas = np.linspace(0, 1, 5)
    ships = confidence[:, None] < np.append(alphas, 2)
    rewards = np.where(ships, 1 - fee, agrees[:, None])
    step = iter(range(250))

    def known(t, arm):
        return [j for j in range(6) if ships[t, j] or ships[t, arm]]

    class Told(twins.ExploringHedge):
        def learn(self, context, arm, rewards):
            t = next(step)
            real = {
                j: ("ships", fee) if ships[t, j] else ("accepts", agrees[t])
                for j in rewards
            }
            super().learn(context, arm, real)

    arms = drive(
        hedge.ExploringHedge(),
        hedge.ExploringParams(0.1, 0.2),
        Told(5, 0.1, 0.2),
        rewards,
        known,
        np.zeros(250, int),
        draws_of=lambda key: np.asarray(jax.random.uniform(key, (2,))),
    )
    # 250 draws of chance 0.2: five standard deviations are 32.
    assert 18 < (arms == 5).sum() < 82


@pytest.mark.usefixtures("x64")
def test_hedge_draws_with_the_chances_it_says():
    selector, params = hedge.Hedge(), hedge.HedgeParams(1.0)
    loss = jnp.log(jnp.asarray([1.0, 2.0, 5.0]))  # chances 10/17, 5/17, 2/17
    keys = jax.random.split(jax.random.key(0), 20_000)
    state = hedge.HedgeState(jnp.broadcast_to(loss[:, None], (3, 20_000)))
    arms = np.asarray(selector.select(params, state, keys, Now(jnp.int32(1), None)))
    found = np.bincount(arms, minlength=3)
    want = 20_000 * np.array([10, 5, 2]) / 17
    assert ((found - want) ** 2 / want).sum() < 18.4  # chi-square, 2 df, 1e-4


def test_selector_that_reads_a_context_says_what_is_missing():
    policy = Policy("mine", jsplit.make_policy("splitee").plans, contextual.LinUCB())
    with pytest.raises(JsplitError, match="context must be asked for by a policy"):
        jsplit.evaluate(random_trace(20, L), [policy], COSTS, num_replicas=1)


# Whole evaluations: own loops over order and arrays.


@functools.cache
def trace_of(seed=3, sure=0.0):
    base = random_trace(N, L, seed=seed)
    rng = np.random.default_rng(seed)
    confidence = np.clip(rng.random((N, L)) * 0.8 + np.linspace(0.1, 0.3, L), 0, 1)
    confidence[rng.random((N, L)) < sure] = 1.0
    return jsplit.Trace.from_arrays(confidence, base.prediction, base.label)


def evaluated(name, trace=None, costs=COSTS, **numbers):
    policy = jsplit.make_policy(name, **numbers)
    return jsplit.evaluate(
        trace_of() if trace is None else trace,
        [policy],
        costs,
        num_replicas=REPLICAS,
        record_arms=True,
        seed=2,
    ).data.isel(policy=0)


def check(result, conditions, arms, twin_of, teach, known, context=None, draws=None):
    """Every replica plays and earns what the twin does; returns the arms played."""
    drifts = "condition_at" in result
    for replica in range(REPLICAS):
        twin, order = twin_of(), result.order.values[replica]
        held = result.condition_at.values[replica] if drifts else np.zeros_like(order)
        played = []
        for t, (n, m) in enumerate(zip(order, held, strict=True), 1):
            told = None if context is None else context(n, m)
            draw = None if draws is None else draws[replica][t - 1]
            arm = twin.pick(t, told, draw)
            played.append(arm)
            twin.learn(told, arm, {j: teach(n, m, j) for j in known(n, m, arm)})
        np.testing.assert_array_equal(result.arm.values[replica], played)
        steps = [
            act(conditions[m], arms[arm], n)
            for n, m, arm in zip(order, held, played, strict=True)
        ]
        for name, values in zip(
            ("reward", "cost", "accuracy", "offloaded"),
            zip(*steps, strict=True),
            strict=True,
        ):
            np.testing.assert_allclose(result[name][replica], np.mean(values))
    return result.arm.values


def itself(n, m, arm):
    return [arm]


@pytest.mark.usefixtures("x64")
def test_adaee_learns_the_gain():
    trace, here = trace_of(), [Routes((trace_of(),), (COSTS,))]
    arms = [Arm(2, alpha) for alpha in np.linspace(0.2, 0.9, 6)]

    def gain(n, m, j):
        own, cloud = trace.confidence[n, 1], trace.confidence[n, -1]
        return 0 if own >= arms[j].alpha else max(cloud - own, 0) - 0.2

    numbers = {"low": 0.2, "high": 0.9, "beta": 0.3}
    played = check(
        evaluated("adaee", depth=2, **numbers),
        here,
        arms,
        lambda: twins.UCB(6, 0.3),
        gain,
        itself,
    )
    assert len(np.unique(played[:, 10:])) > 2


@pytest.mark.usefixtures("x64")
def test_joint_ucb_is_ucb_over_pairs_and_the_final_exit():
    here = [Routes((trace_of(),), (COSTS,))]
    alphas = np.linspace(0.4, 0.9, 6)
    arms = [Arm(depth, alpha) for depth in range(1, L) for alpha in alphas]
    arms.append(Arm(L, twins.ALWAYS))
    check(
        evaluated("joint_ucb", low=0.4, high=0.9, beta=0.2),
        here,
        arms,
        lambda: twins.UCB(len(arms), 0.2),
        lambda n, m, j: act(here[0], arms[j], n).reward,
        itself,
    )


@pytest.mark.usefixtures("x64")
def test_uee_ucb_learns_disagreement_of_every_exit_on_the_way():
    trace, here = trace_of(), [Routes((trace_of(),), (COSTS,))]
    arms = [Arm(depth, twins.ALWAYS, "all") for depth in range(1, L + 1)]

    def lesson(n, m, j):
        differs = trace.prediction[n, j] != trace.prediction[n, 0]
        return float(differs) - act(here[0], arms[j], n).cost

    check(
        evaluated("uee_ucb", beta=0.1),
        here,
        arms,
        lambda: twins.UCB(L, 0.1),
        lesson,
        lambda n, m, arm: range(arm + 1),
    )


def agreement(trace, depth, fee):
    agrees = trace.prediction[:, depth - 1] == trace.prediction[:, -1]
    return lambda n, ships: 1 - fee if ships else float(agrees[n])


@pytest.mark.parametrize("name", ["hi_lcb", "hi_lcb_lite"])
@pytest.mark.usefixtures("x64")
def test_hi_lcb_learns_agreement_of_what_it_ships(name):
    trace, costs = trace_of(sure=0.1), jsplit.Costs.splitee(L, offload=0.6)
    here = [Routes((trace,), (costs,))]
    arms = [Arm(2, twins.ALWAYS), Arm(2, twins.NEVER)]
    lesson = agreement(trace, 2, 0.6)
    played = check(
        evaluated(name, trace, costs, depth=2, xi=0.02),
        here,
        arms,
        lambda: twins.HILCB(10, 0.02, monotone=name == "hi_lcb"),
        lambda n, m, j: lesson(n, j == 1),
        lambda n, m, arm: [0, 1] if arm == 1 else [1],
        lambda n, m: min(math.floor(trace.confidence[n, 1] * 10), 9),
    )
    assert 0 < played.mean() < 1


def uniforms(*shape):
    """What every replica and step draws from its key, [R, N, *shape]."""
    keys = replay.replica_keys(jax.random.key(2), jnp.arange(REPLICAS), N).draws
    fold = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))
    draw = functools.partial(jax.random.uniform, shape=shape)
    return np.asarray(jax.vmap(jax.vmap(draw))(fold(keys, jnp.arange(N))))


@pytest.mark.parametrize("offload", [0.0, 0.2, 1.0, 1.3])
@pytest.mark.usefixtures("x64")
def test_hil_n_learns_from_what_it_ships_to_explore(offload):
    """Also where shipping costs as much as an error, or nothing at all."""
    trace = trace_of(sure=0.1)
    costs = jsplit.Costs.splitee(L, offload=offload)
    alphas = np.linspace(0, 1, 11)
    arms = [*(Arm(1, alpha) for alpha in alphas), Arm(1, twins.NEVER)]
    agrees = trace.prediction[:, 0] == trace.prediction[:, -1]

    def ships(n, j):
        return not trace.confidence[n, 0] >= arms[j].alpha

    def lesson(n, m, j):
        return ("ships", offload) if ships(n, j) else ("accepts", agrees[n])

    def known(n, m, arm):
        return [j for j in range(12) if ships(n, j) or ships(n, arm)]

    check(
        evaluated("hil_n", trace, costs, eta=0.3, epsilon=0.2),
        [Routes((trace,), (costs,))],
        arms,
        lambda: twins.ExploringHedge(11, 0.3, 0.2),
        lesson,
        known,
        draws=uniforms(2),
    )


@pytest.mark.usefixtures("x64")
def test_hil_f_learns_from_every_threshold():
    trace, here = trace_of(sure=0.1), [Routes((trace_of(sure=0.1),), (COSTS,))]
    arms = [Arm(3, alpha) for alpha in np.linspace(0, 1, 11)]
    lesson = agreement(trace, 3, 0.2)
    check(
        evaluated("hil_f", trace, depth=3, eta=0.5),
        here,
        arms,
        lambda: twins.Hedge(11, 0.5),
        lambda n, m, j: lesson(n, not trace.confidence[n, 2] >= arms[j].alpha),
        lambda n, m, arm: range(11),
        draws=uniforms(),
    )


@pytest.fixture(scope="module")
def link():
    """Two conditions with other traces and costs, in turn."""
    one = jsplit.Costs([0.1, 0.2, 0.3, 0.4, 0.5], 0.02, [0.1, 0.2, 0.3, 0.4, 0.5])
    two = jsplit.Costs([0.2, 0.3, 0.4, 0.6, 1.4], 0.01, 0.9, input=0.95)
    three = jsplit.Costs([0.2, 0.3, 0.35, 0.6, 1.4], 0.01, [0.9, 0.8, 0.2, 0.9, 0.9])
    routes = [
        Routes((trace_of(seed),), (costs,))
        for seed, costs in ((3, one), (4, two), (6, three))
    ]
    named = {
        str(m): (route.traces[0], route.costs[0]) for m, route in enumerate(routes)
    }
    return jsplit.Scenario(named, jsplit.drift.periodic(7)), routes


@pytest.mark.usefixtures("x64")
def test_isplitee_learns_every_condition_apart(link):
    scenario, here = link
    arms = twins.splits(L, 0.5, "all")
    traces = [route.traces[0] for route in here]

    def known(n, m, arm):
        """Strict side information: what was computed determines the reward."""

        def ships(j):
            return j < L - 1 and not traces[m].confidence[n, j] >= 0.5

        cloud = ships(arm) or arm == L - 1
        return [j for j in range(arm + 1) if j == arm or not ships(j) or cloud]

    played = check(
        evaluated("isplitee", scenario, None, beta=0.2),
        here,
        arms,
        lambda: twins.ContextualUCB(3, L, 0.2),
        lambda n, m, j: act(here[m], arms[j], n).reward,
        known,
        lambda n, m: m,
    )
    assert len(np.unique(played)) > 1


@pytest.mark.usefixtures("x64")
def test_linucb_is_told_the_price_of_every_condition(link):
    scenario, here = link
    arms = twins.splits(L, 0.7)
    prices = [route.costs[0].offload.mean() for route in here]
    check(
        evaluated("linucb", scenario, None, beta=0.1),
        here,
        arms,
        lambda: twins.LinUCB(prices, L, 0.1),
        lambda n, m, j: act(here[m], arms[j], n).reward,
        itself,
        lambda n, m: m,
    )


class Argmin:
    def __init__(self, costs):
        self.cheapest = [min(range(len(c)), key=c.__getitem__) for c in costs]

    def pick(self, t, context, draws):
        return self.cheapest[context]

    def learn(self, *told):
        pass


@pytest.mark.parametrize("shallowest", [0, 1, 2])
@pytest.mark.usefixtures("x64")
def test_dynamic_split_takes_the_argmin_of_the_costs(link, shallowest):
    scenario, here = link
    depths = range(shallowest, L)
    arms = [Arm(depth, twins.NEVER, "none") for depth in depths]
    arms.append(Arm(L, twins.ALWAYS))
    costs = [[act(route, arm, 0).cost for arm in arms] for route in here]
    played = check(
        evaluated("dynamic_split", scenario, None, shallowest=shallowest),
        here,
        arms,
        lambda: Argmin(costs),
        lambda *step: None,
        lambda *step: [],
        lambda n, m: m,
    )
    assert len(np.unique(played)) > 1


# What is told, before and after, by hand.


@pytest.mark.parametrize("mu", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("name", ["adaee", "uee_ucb", "hi_lcb", "hil_n", "hil_f"])
def test_learned_lie_in_their_range_and_reach_its_ends(name, mu):
    """Confidences of 0 and 1 and answers that agree or not can meet at every exit."""
    sure = np.array([[0, 1], [1, 0], [0, 0], [1, 1]], float).repeat(2, 0)
    sure = np.stack([*[sure[:, 0]] * (L - 1), sure[:, 1]], 1)
    prediction = np.zeros((8, L), int)
    prediction[::2, 1:] = 1  # agrees with the first exit, or not
    trace = jsplit.Trace.from_arrays(sure, prediction, np.zeros(8, int))
    costs = jsplit.Costs.splitee(L, offload=0.7, mu=mu)
    policy = jsplit.make_policy(name)
    plans = plans_of(policy, L, Protocol())
    outcome = outcomes_of(policy.score, plans, trace, costs, Protocol())
    learned = feedback.learning_rewards(policy.learns, plans, trace, costs, outcome)
    low, high = map(float, feedback.reward_range(policy.learns, plans, costs, False))
    # Disagreement with exit 1 at its own cost, the dearest without any: not possible.
    reach = mu * 0.1 if name == "uee_ucb" else 0
    assert low - 1e-6 <= learned.min() <= low + 1e-6
    assert high - reach - 1e-6 <= learned.max() <= high + 1e-6


def test_accepted_answers_are_known_only_if_shipped_by_hand():
    """Plans: accept, ship, and ship by another route; the sample is not sure."""
    stack = plan_makers.stack(
        [
            plan_makers.exit_at(3, 1),
            plan_makers.offload_all(3, 1),
            plan_makers.by_route(plan_makers.offload_all(3, 1), 1),
        ]
    )
    field = jnp.zeros((1, 3))
    outcome = Outcome(field, field, field > 0, jnp.asarray([[0, 3, 3]]))

    def revealed(reveal):
        found = feedback.revealed(reveal, stack, outcome, strict=True, lossless=True)
        return None if found is None else found[0].astype(int).tolist()

    assert revealed("own") is None
    assert revealed("all") == [[1, 1, 1]] * 3
    # Rows: played; columns: known. The other route is another cloud.
    assert revealed("shipped") == [[0, 1, 1], [1, 1, 1], [0, 1, 1]]
    assert revealed("prefix") == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_cheapest_needs_costs_that_do_not_depend_on_the_sample():
    splits = jsplit.make_policy("splitee").plans
    told = jsplit.Context("cheapest")
    policy = Policy("mine", splits, simple.Follow(), context=told)
    with pytest.raises(JsplitError, match="'cheapest' needs plans whose cost does not"):
        jsplit.evaluate(random_trace(20, L), [policy], COSTS, num_replicas=1)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (("confidence", 2, 4), "exit 2 needs plans that all run its head"),
        (("confidence", 6, 4), "exit of context must be an integer from 1 to 5"),
        (("confidence", 1, 0), "bins of context must be an integer >= 1"),
    ],
)
def test_confidence_is_told_only_if_every_plan_computes_it(context, message):
    splits = jsplit.make_policy("splitee").plans
    told = jsplit.Context(*context)
    policy = Policy("mine", splits, contextual.ContextualUCB(), context=told)
    with pytest.raises(JsplitError, match=message):
        jsplit.evaluate(random_trace(20, L), [policy], COSTS, num_replicas=1)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ({"reveal": "prefx"}, "reveal must be one of .*did you mean 'prefix'"),
        ({"learns": "agrement"}, "learns must be one of .*did you mean 'agreement'"),
        ({"score": "entropi"}, "score must be one of .*did you mean 'entropy'"),
        ({"context": jsplit.Context("conditon")}, "context must be one of condition"),
    ],
)
def test_a_misspelt_word_is_not_taken_for_another(word, message):
    splits = jsplit.make_policy("splitee").plans
    with pytest.raises(JsplitError, match=message):
        Policy("mine", splits, simple.Follow(), **word)
