"""One replica as a pure function: the replicas of `evaluate`, under transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import random_trace
from jax.sharding import AxisType, PartitionSpec

import jsplit
from jsplit import JsplitError

pytestmark = pytest.mark.core

L, R = 4, 8
TRACE = random_trace(60, L)
COSTS = jsplit.Costs.splitee(L, offload=0.3, mu=0.7)
KEYS = jsplit.replica_keys(0, 0, R)
# One policy of every family, drawing ones among them.
FAMILIES = ["splitee_s", "exp3", "hi_lcb", "random_exit", "patience_cascade"]
MORE = ["splitee", "ucb1", "epsilon_greedy", "adaee", "hil_n", "uee_ucb", "oracle"]
MORE += ["thompson_gaussian", "glr_ucb", "sliding_window_ucb", "linucb"]


def over_keys(policy, keys=KEYS, trace=TRACE, costs=COSTS, **options):
    one = lambda key: jsplit.rollout(policy, trace, costs, key, **options)  # noqa: E731
    return jax.jit(jax.vmap(one))(keys)


def assert_same(found, result, policy):
    run = result.sel(policy=policy)
    np.testing.assert_array_equal(found.arm, run.arm)
    np.testing.assert_array_equal(found.order, result.order)
    for name in ("reward", "cost", "accuracy", "offloaded"):
        np.testing.assert_allclose(found._asdict()[name], run[name], rtol=1e-6)
    for name in ("pseudo_regret", "realised_regret"):
        np.testing.assert_allclose(found._asdict()[name], run[name], atol=1e-4)


@pytest.mark.parametrize(
    ("stream", "protocol", "policies"),
    [
        ("shuffle", "paper", FAMILIES),
        pytest.param("shuffle", "paper", MORE, marks=pytest.mark.slow),
        ("bootstrap", "released", ["splitee_s", "random_exit", "confidence_cascade"]),
    ],
)
def test_these_are_the_replicas_of_evaluate(stream, protocol, policies):
    how = {"stream": stream, "protocol": protocol, "horizon": 90}
    result = jsplit.evaluate(
        TRACE, policies, COSTS, num_replicas=R, record_arms=True, **how
    ).data
    for policy in policies:
        found = over_keys(policy, record_arms=True, **how)
        assert_same(found, result, policy)
        plays = [
            np.bincount(arms, minlength=found.pulls.shape[1]) for arms in found.arm
        ]
        np.testing.assert_array_equal(found.pulls, plays)


def test_later_replicas_are_later_keys():
    policy = "splitee"
    later = jsplit.replica_keys(0, 4, 4)
    jax.tree.map(
        np.testing.assert_array_equal,
        over_keys(policy, later),
        jax.tree.map(lambda x: x[4:], over_keys(policy)),
    )


def test_numbers_costs_and_keys_may_be_mapped_together():
    def one(alpha, beta, offload, key):
        policy = jsplit.make_policy("splitee", alpha=alpha, beta=beta)
        costs = jsplit.Costs.splitee(L, offload=offload)
        return jsplit.rollout(policy, TRACE, costs, key, horizon=90)

    settings = jnp.array([[0.6, 1.0, 0.1], [0.8, 0.5, 0.4]]).T
    both = jax.vmap(jax.vmap(one, (None, None, None, 0)), (0, 0, 0, None))
    found = jax.jit(both)(*settings, KEYS)
    for number, (alpha, beta, offload) in enumerate(settings.T.tolist()):
        policy = jsplit.make_policy("splitee", alpha=alpha, beta=beta)
        costs = jsplit.Costs.splitee(L, offload=offload)
        alone = over_keys(policy, costs=costs, horizon=90)
        np.testing.assert_array_equal(found.pulls[number], alone.pulls)
        np.testing.assert_allclose(found.reward[number], alone.reward, rtol=1e-6)


def test_traces_may_be_mapped():
    traces = [random_trace(60, L, seed=seed) for seed in (1, 2)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *traces)
    key = jax.tree.map(lambda x: x[0], KEYS)
    found = jax.vmap(lambda trace: jsplit.rollout("ucb1", trace, COSTS, key))(stacked)
    for number, trace in enumerate(traces):
        alone = jsplit.rollout("ucb1", trace, COSTS, key)
        np.testing.assert_array_equal(found.pulls[number], alone.pulls)


def test_it_runs_in_a_scan_and_in_shards():
    def step(total, key):
        return total + jsplit.rollout("splitee", TRACE, COSTS, key).reward, None

    total, _ = jax.lax.scan(step, jnp.float32(0), KEYS)
    alone = over_keys("splitee")
    np.testing.assert_allclose(total, alone.reward.sum(), rtol=1e-6)
    mesh = jax.make_mesh((1,), ("replica",), axis_types=(AxisType.Auto,))
    split = PartitionSpec("replica")
    sharded = jax.shard_map(
        lambda keys: over_keys("splitee", keys),
        mesh=mesh,
        in_specs=split,
        out_specs=split,
        check_vma=False,
    )
    jax.tree.map(np.testing.assert_array_equal, sharded(KEYS), alone)


def test_any_key_gives_a_replica_of_its_own():
    keys = jax.random.split(jax.random.key(3), 4)
    found = over_keys("random_exit", keys, record_arms=True)
    assert len(np.unique(found.order, axis=0)) == len(np.unique(found.arm, axis=0)) == 4
    with pytest.raises(JsplitError, match="key must be one of"):
        jsplit.rollout("splitee", TRACE, COSTS, 3)


def test_what_fixes_the_program_cannot_be_traced():
    def one(number):
        return jsplit.make_policy("adaee", num_thresholds=number)

    with pytest.raises(JsplitError, match="num_thresholds must be known when"):
        jax.jit(one)(3)


def test_traced_values_are_refused_where_values_are_needed():
    def one(offload):
        costs = jsplit.Costs.splitee(L, offload=offload)
        return jsplit.evaluate(TRACE, ["splitee"], costs)

    with pytest.raises(JsplitError, match="got traced values; inside jit"):
        jax.jit(one)(0.3)


# Traces and costs are pytrees.


@pytest.mark.parametrize("tree", [TRACE, COSTS], ids=["trace", "costs"])
def test_leaves_make_the_same_tree_again(tree):
    leaves, structure = jax.tree.flatten(tree)
    again = jax.tree.unflatten(structure, leaves)
    for leaf, other in zip(leaves, jax.tree.leaves(again), strict=True):
        assert leaf is other
    jax.tree.unflatten(structure, [object()] * len(leaves))
    assert type(jax.jit(lambda tree: tree)(tree)) is type(tree)


def test_a_part_of_a_trace_is_checked_when_it_is_evaluated():
    part = jax.tree.map(lambda values: values[:20], TRACE)
    assert part.num_samples == 20
    fresh = jsplit.Trace.from_arrays(
        TRACE.confidence[:20], TRACE.prediction[:20], TRACE.label[:20]
    )
    found, wanted = (
        jsplit.evaluate(one, ["final_exit"], COSTS, num_replicas=2).data.reward
        for one in (part, fresh)
    )
    np.testing.assert_array_equal(found, wanted)
    broken = jax.tree.map(lambda values: values * 5, TRACE)
    with pytest.raises(JsplitError, match="confidence must be in"):
        jsplit.evaluate(broken, ["final_exit"], COSTS)
    negative = jax.tree.map(lambda values: -values, COSTS)
    with pytest.raises(JsplitError, match="compute must be finite and >= 0"):
        jsplit.evaluate(TRACE, ["final_exit"], negative)
