"""What must not change a number: devices, blocks, company, order, units of a reward."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import compilations, random_trace

import jsplit
from jsplit.engine import shard
from jsplit.environment import outcomes
from jsplit.policies import simple
from jsplit.policies.base import NoParams

N, L = 100, 5
COSTS = jsplit.Costs.splitee(L, offload=0.2)
FOUR = ["splitee", "splitee_s", "random_exit", "confidence_cascade"]
SUMS = ("reward", "cost", "accuracy", "offloaded")

# Runs in a process of its own: the number of devices is fixed when JAX starts.
DEVICES = """
import sys
import jax
import numpy as np
import jsplit
from conftest import compilations, random_trace

assert len(jax.devices()) == 4
trace = random_trace(100, 5, seed=2)
costs = jsplit.Costs.splitee(5, offload=0.2)
policies, settings = sys.argv[1].split(","), eval(sys.argv[2])
first = None
for devices, block_size in settings:
    result = jsplit.evaluate(
        trace,
        policies,
        costs,
        num_replicas=700,
        record_arms=True,
        keep_curves=True,
        devices=jax.devices()[:devices],
        block_size=block_size,
    ).data
    first = result if first is None else first
    assert set(result) == set(first) and "arm" in result and "order" in result
    for name in result:
        if not np.array_equal(result[name], first[name]):
            print(devices, block_size, name, "differs")
print("compared", len(first), first.sizes["replica"])
"""


@pytest.mark.parametrize(
    ("policies", "settings"),
    [
        (FOUR[:2], [(1, 512), (4, 64)]),
        pytest.param(
            FOUR,
            [(devices, size) for devices in (1, 4) for size in (64, 512, None)],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["learners", "all"],
)
def test_results_do_not_depend_on_devices_or_blocks(policies, settings):
    folder = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", DEVICES, ",".join(policies), repr(settings)],
        capture_output=True,
        text=True,
        timeout=600,
        env={
            **os.environ,
            "JSPLIT_CPU_DEVICES": "4",
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join([folder, *filter(None, sys.path)]),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "compared 13 700\n"


def evaluate(policies, *, costs=COSTS, trace=None, num_replicas=16, **options):
    trace = random_trace(N, L, seed=2) if trace is None else trace
    return jsplit.evaluate(
        trace,
        policies,
        costs,
        num_replicas=num_replicas,
        record_arms=True,
        keep_curves=True,
        **options,
    ).data


def assert_same(result, other):
    assert set(result) == set(other)
    for name in result:
        np.testing.assert_array_equal(result[name], other[name], err_msg=name)


@pytest.fixture(scope="module")
def together():
    return evaluate(FOUR)


@pytest.mark.core
@pytest.mark.parametrize("policies", [["splitee"], ["random_exit"], FOUR[::-1]])
def test_results_do_not_depend_on_the_other_policies(policies, together):
    assert_same(evaluate(policies), together.sel(policy=policies))


@pytest.mark.core
def test_fewer_replicas_are_the_first_of_more(together):
    assert_same(evaluate(FOUR, num_replicas=5), together.isel(replica=slice(5)))


def test_same_seed_repeats_and_another_differs(together):
    assert_same(evaluate(FOUR), together)
    other = evaluate(FOUR, seed=1)
    assert (other.order != together.order).any()
    assert (other.arm != together.arm).any("step").sel(policy=FOUR[:3]).all()


def test_replicas_see_different_orders_and_draws(together):
    assert np.unique(together.order, axis=0).shape[0] == 16
    drawn = together.arm.sel(policy="random_exit")
    assert np.unique(drawn, axis=0).shape[0] == 16


# One-plan policies: a fixed rule has one value on a fixed test set.

ONE_PLAN = [
    name
    for name in jsplit.policy_names()
    if isinstance(jsplit.make_policy(name).selector, simple.Always)
    and not jsplit.make_policy(name).privileged
]


@pytest.mark.parametrize("passes", [1, 2])
def test_single_plan_has_no_variance_under_shuffles(passes):
    trace = random_trace(N, L, seed=2)
    result = evaluate(ONE_PLAN, trace=trace, horizon=passes * N, num_replicas=8)
    for values in (
        *(result[name] for name in SUMS),
        result.pseudo_regret,
        result.realised_regret,
    ):
        assert (values.max("replica") == values.min("replica")).all()
    for policy in map(jsplit.make_policy, ONE_PLAN):
        table = outcomes.tabulate(
            jax.tree.map(jnp.asarray, policy.plans(L, jsplit.Protocol())),
            outcomes.answers(trace, policy.score),
            outcomes.cost_table(COSTS),
            False,
        )
        run = result.sel(policy=policy.label).isel(replica=0)
        for name, field in (
            ("reward", "reward"),
            ("cost", "cost"),
            ("accuracy", "correct"),
        ):
            mean = np.asarray(getattr(table, field), np.float64).mean()
            np.testing.assert_allclose(run[name], mean, rtol=1e-12, err_msg=name)
        shipped = (np.asarray(table.exit) == L).mean()
        np.testing.assert_allclose(run.offloaded, shipped, rtol=1e-12)


def test_single_plan_varies_under_resamples():
    result = evaluate(ONE_PLAN, stream="bootstrap", num_replicas=8)
    for name in ("reward", "accuracy"):
        assert (result[name].std("replica") > 1e-3).all()
    cost = result.cost.std("replica")
    np.testing.assert_allclose(cost.sel(policy=["final_exit", "offload_all"]), 0)
    cascades = [name for name in ONE_PLAN if name.endswith("cascade")]
    assert (cost.sel(policy=cascades) > 1e-3).all()


# The learner sees rewards only through their differences.


@pytest.mark.usefixtures("x64")
def test_constant_added_to_every_reward_changes_no_arm():
    low = random_trace(N, L, seed=2)
    half = dataclasses.replace(
        low,
        confidence=low.confidence / 2,
        remote_confidence=low.remote_confidence / 2,
    )
    raised = dataclasses.replace(
        half,
        confidence=half.confidence + 0.4,
        remote_confidence=half.remote_confidence + 0.4,
    )

    def run(trace, alpha):
        policies = [jsplit.make_policy(name, alpha=alpha) for name in FOUR[:2]]
        return evaluate(policies, trace=trace, num_replicas=8)

    before, after = run(half, 0.35), run(raised, 0.75)
    np.testing.assert_array_equal(before.arm, after.arm)
    np.testing.assert_allclose(after.reward.values - before.reward.values, 0.4)
    unraised = run(half, 0.45)  # alpha alone does change arms
    assert (before.arm.values != unraised.arm.values).any()


# A new number compiles nothing.


def policies_with(**numbers):
    alpha = {key: value for key, value in numbers.items() if key == "alpha"}
    return [
        jsplit.make_policy("splitee", **numbers),
        jsplit.make_policy("splitee_s", **numbers),
        jsplit.make_policy("random_exit", **alpha),
        jsplit.make_policy("confidence_cascade", **alpha),
    ]


@pytest.mark.usefixtures("together")
def test_new_numbers_compile_nothing():
    evaluate(policies_with(alpha=0.8, beta=2.0))
    programs = shard._run_piece._cache_size()
    with compilations() as found:
        evaluate(policies_with())  # equal to the first, made anew
        evaluate(policies_with(alpha=0.6, beta=0.5))
        evaluate(policies_with(alpha=0.9), seed=7)
        evaluate(policies_with(), costs=jsplit.Costs.splitee(L, offload=0.4, mu=0.5))
        evaluate(policies_with(), trace=random_trace(N, L, seed=8))
    assert found == []
    assert shard._run_piece._cache_size() == programs


@dataclasses.dataclass(frozen=True)
class StaticAlways(simple.Always):
    """A selector that keeps a number where only structure belongs."""

    alpha: float = 0.7


@pytest.mark.usefixtures("together")
def test_a_number_kept_as_structure_would_be_noticed():
    """The test above can fail."""
    policy = jsplit.make_policy("confidence_cascade")
    assert policy.params is None
    assert policy.selector.default_params() == NoParams()
    with compilations() as found:
        evaluate([dataclasses.replace(policy, selector=StaticAlways(0.8))])
    assert found
    with compilations() as found:
        evaluate([dataclasses.replace(policy, selector=StaticAlways(0.8))])
    assert found == []


# Working precision.


def test_float32_means_equal_float64(together):
    """For policies whose arms do not hang on the last bit of a reward."""
    with jax.enable_x64(True):
        exact = evaluate(FOUR)
    assert (exact.order == together.order).all()
    fixed = ["random_exit", "confidence_cascade"]
    np.testing.assert_array_equal(
        exact.arm.sel(policy=fixed), together.arm.sel(policy=fixed)
    )
    for name in SUMS:
        np.testing.assert_allclose(
            together[name].sel(policy=fixed), exact[name].sel(policy=fixed), atol=1e-5
        )
    same = (exact.arm == together.arm).all("step")
    assert same.mean() > 0.9  # a tie to the last bit is rare
    for name in SUMS:
        np.testing.assert_allclose(
            together[name].where(same), exact[name].where(same), atol=1e-5
        )


def test_float32_sums_stay_exact_over_many_passes():
    """20,000 steps over 200 samples: sums and regret against float64 on the host."""
    trace, horizon = random_trace(200, L, seed=3), 20_000
    result = evaluate(["splitee"], trace=trace, horizon=horizon, num_replicas=4)
    run = result.isel(policy=0)
    arm, order = run.arm.values, run.order.values
    depth = np.arange(1, L + 1)
    ships = (trace.confidence < 0.7) & (depth < L)
    cost = COSTS.compute + COSTS.head + ships * COSTS.offload
    answer = np.where(ships, trace.confidence[:, -1:], trace.confidence)
    reward = answer - COSTS.mu * cost
    best = reward.mean(0).argmax()
    earned = reward[order, arm]
    np.testing.assert_allclose(run.reward, earned.mean(1), atol=1e-6)
    np.testing.assert_allclose(run.cost, cost[order, arm].mean(1), atol=1e-6)
    np.testing.assert_allclose(run.offloaded, ships[order, arm].mean(1), atol=1e-12)
    at = run.checkpoint.values - 1
    realised = (reward[order, best] - earned).cumsum(1)[:, at].T
    pseudo = (reward.mean(0)[best] - reward.mean(0)[arm]).cumsum(1)[:, at].T
    assert realised[-1].min() > 10  # so that 1e-2 says something
    np.testing.assert_allclose(run.realised_regret_curve, realised, atol=1e-2)
    np.testing.assert_allclose(run.pseudo_regret_curve, pseudo, atol=1e-2)
