"""The engine against plain NumPy loops that share no code with it, in float64."""

import dataclasses

import jax
import numpy as np
import pytest
import reference
from conftest import random_trace

import jsplit

pytestmark = pytest.mark.usefixtures("quick_compile")

LEARNERS = {
    "splitee": {"heads": "one", "side_information": None},
    "splitee_s": {"heads": "all", "side_information": "strict"},
}
SWITCHES = [
    {},
    {"initial_plays": "free"},
    {"clock": "steps"},
    {"learned_cost": "all_heads"},
    {"side_information": "released"},
    {"initial_plays": "free", "clock": "steps"},
]


def arrays(trace):
    return (
        trace.confidence,
        trace.correct,
        trace.remote_confidence,
        trace.remote_correct,
    )


def cost_arrays(costs):
    return costs.compute, costs.head, costs.offload, costs.mu


def expected(name, trace, costs, order, protocol, *, alpha=0.7, beta=1.0):
    how = dict(LEARNERS[name])
    if how["side_information"] is not None:
        how["side_information"] = protocol.side_information
    return reference.split_run(
        *arrays(trace),
        *cost_arrays(costs),
        order,
        alpha=alpha,
        beta=beta,
        initial_plays=protocol.initial_plays,
        clock=protocol.clock,
        learned_cost=protocol.learned_cost,
        lossless=trace.lossless,
        **how,
    )


def check_run(result, policy, name, trace, costs, protocol, **numbers):
    """Every replica of one policy: arms equal, sums equal, regret equal."""
    run = result.sel(policy=policy)
    heads = LEARNERS[name]["heads"]
    if protocol.learned_cost == "all_heads":
        heads = "all"
    alpha = numbers.get("alpha", 0.7)
    rewards = reference.reward_matrix(
        trace.confidence,
        trace.remote_confidence,
        *cost_arrays(costs),
        alpha=alpha,
        heads=heads,
    )
    checkpoints = result.checkpoint.values - 1
    for replica in range(result.sizes["replica"]):
        order = result.order.values[replica]
        want = expected(name, trace, costs, order, protocol, **numbers)
        arms = run.arm.values[replica]
        np.testing.assert_array_equal(arms, want["arms"])
        for ours, theirs in (
            ("reward", "reward"),
            ("cost", "cost"),
            ("accuracy", "correct"),
            ("offloaded", "offloaded"),
        ):
            np.testing.assert_allclose(
                run[ours].values[replica], want[theirs].mean(), rtol=1e-12
            )
        np.testing.assert_array_equal(
            run.pulls.values[replica], np.bincount(arms, minlength=trace.num_exits)
        )
        pseudo = reference.pseudo_regret(rewards.mean(0), arms)
        realised = reference.realised_regret(rewards, arms, order)
        np.testing.assert_allclose(
            run.pseudo_regret_curve.values[:, replica], pseudo[checkpoints], atol=1e-9
        )
        np.testing.assert_allclose(
            run.realised_regret_curve.values[:, replica],
            realised[checkpoints],
            atol=1e-9,
        )


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("switches", SWITCHES, ids=lambda s: "-".join(s.values()))
@pytest.mark.usefixtures("x64")
def test_arms_and_sums_equal_the_loop(name, switches):
    trace = random_trace(257, 6, seed=3)
    costs = jsplit.Costs.splitee(6, offload=0.2)
    protocol = jsplit.Protocol(**switches)
    result = jsplit.evaluate(
        trace,
        [name],
        costs,
        num_replicas=3,
        protocol=protocol,
        record_arms=True,
        keep_curves=True,
    ).data
    check_run(result, name, name, trace, costs, protocol)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("protocol", ["paper", "released"])
@pytest.mark.parametrize("stream", ["shuffle", "bootstrap", "fixed"])
@pytest.mark.usefixtures("x64")
def test_every_stream_equals_the_loop_beyond_one_pass(name, protocol, stream):
    trace = random_trace(100, 4, seed=5)
    costs = jsplit.Costs([0.1, 0.25, 0.3, 0.8], [0.02, 0.0, 0.05, 0.01], 0.3, mu=0.7)
    policy = jsplit.make_policy(name, alpha=0.65, beta=0.5)
    result = jsplit.evaluate(
        trace,
        [policy],
        costs,
        num_replicas=2,
        protocol=protocol,
        stream=stream,
        horizon=250,
        record_arms=True,
        keep_curves=True,
    ).data
    switches = jsplit.Protocol.named(protocol)
    numbers = {"alpha": 0.65, "beta": 0.5}
    check_run(result, policy.label, name, trace, costs, switches, **numbers)


@pytest.mark.parametrize("protocol", ["paper", "released"])
@pytest.mark.usefixtures("x64")
def test_side_information_equals_the_loop_on_a_lossy_link(protocol):
    trace = random_trace(150, 5, seed=9, lossy=True)
    assert not trace.lossless
    costs = jsplit.Costs.splitee(5, offload=0.1)
    result = jsplit.evaluate(
        trace,
        ["splitee_s"],
        costs,
        num_replicas=2,
        protocol=protocol,
        record_arms=True,
        keep_curves=True,
    ).data
    switches = jsplit.Protocol.named(protocol)
    check_run(result, "splitee_s", "splitee_s", trace, costs, switches)


@pytest.mark.parametrize("protocol", ["paper", "released"])
@pytest.mark.usefixtures("x64")
def test_cascades_equal_the_loop(protocol):
    trace = random_trace(120, 5, seed=2)
    costs = jsplit.Costs.splitee(5)
    released = protocol == "released"
    policies = {
        "confidence_cascade": reference.cascade_run(
            trace.confidence,
            trace.correct,
            costs.compute,
            costs.head,
            np.arange(120),
            alpha=0.7,
            one_late=released,
        ),
        "entropy_cascade": reference.entropy_cascade_run(
            trace.entropy,
            trace.correct,
            costs.compute,
            costs.head,
            np.arange(120),
            threshold=0.5,
        ),
        "patience_cascade": reference.patience_cascade_run(
            trace.prediction,
            trace.correct,
            costs.compute,
            costs.head,
            np.arange(120),
            patience=2,
        ),
    }
    result = jsplit.evaluate(
        trace, list(policies), costs, num_replicas=1, protocol=protocol
    ).data
    for name, want in policies.items():
        run = result.sel(policy=name, replica=0)
        np.testing.assert_allclose(run.cost, want["cost"].mean(), rtol=1e-12)
        np.testing.assert_allclose(run.accuracy, want["correct"].mean(), rtol=1e-12)
        assert run.offloaded == 0


@pytest.mark.core
def test_baselines_have_their_closed_form():
    trace = random_trace(200, 4, seed=1)
    costs = jsplit.Costs.splitee(4, offload=0.3)
    result = jsplit.evaluate(
        trace,
        ["final_exit", "offload_all", jsplit.make_policy("fixed_split", depth=2)],
        costs,
        num_replicas=2,
    ).data.isel(replica=0)
    last = trace.correct[:, -1].mean()
    shipped = trace.confidence[:, 1] < 0.7
    split = np.where(shipped, trace.correct[:, -1], trace.correct[:, 1]).mean()
    np.testing.assert_allclose(result.accuracy, [last, last, split])
    np.testing.assert_allclose(result.offloaded, [0, 1, shipped.mean()])
    # Offloading everything evaluates no head; final exit evaluates one.
    bills = [0.08 * 4 + 0.02, 0.08 + 0.3, 0.16 + 0.02 + 0.3 * shipped.mean()]
    np.testing.assert_allclose(result.cost, bills, rtol=1e-6)


@pytest.mark.core
@pytest.mark.usefixtures("x64")
def test_oracle_takes_the_best_split_of_every_sample():
    trace = random_trace(90, 4, seed=7)
    costs = jsplit.Costs.splitee(4, offload=0.2)
    result = jsplit.evaluate(
        trace, ["oracle"], costs, num_replicas=2, record_arms=True, keep_curves=True
    ).data
    rewards = reference.reward_matrix(
        trace.confidence,
        trace.remote_confidence,
        *cost_arrays(costs),
        alpha=0.7,
        heads="one",
    )
    np.testing.assert_allclose(result.reward, rewards.max(1).mean())
    np.testing.assert_array_equal(
        result.arm[0].values, rewards.argmax(1)[result.order.values]
    )


def test_released_is_every_switch_and_each_changes_something():
    trace = random_trace(200, 6, seed=3)
    costs = jsplit.Costs.splitee(6, offload=0.2)
    policies = ["splitee", "splitee_s", "random_exit", "confidence_cascade"]
    policies.append("final_exit")

    def totals(protocol):
        with jax.enable_x64(True):
            result = jsplit.evaluate(
                trace, policies, costs, num_replicas=4, protocol=protocol
            ).data
        return result.reward.values, result.cost.values

    paper, released = jsplit.Protocol(), jsplit.Protocol.named("released")
    before = totals(paper)
    for field in dataclasses.fields(paper):
        value = getattr(released, field.name)
        assert value != getattr(paper, field.name)
        after = totals(dataclasses.replace(paper, **{field.name: value}))
        changed = any((a != b).any() for a, b in zip(before, after, strict=True))
        assert changed, field.name
