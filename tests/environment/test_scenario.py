"""Replays of scenarios against a plain loop over the recorded steps, in float64.

The loop follows `order`, `condition_at` and `arm`, and adds up what each step did.
"""

import json
import math

import jax
import numpy as np
import pytest
import reference_contextual as twins
from conftest import compilations, random_trace
from reference_contextual import Arm, Routes, act

import jsplit
from jsplit import stats
from jsplit.environment import drift
from jsplit.policies import plans
from jsplit.policies.base import Policy
from jsplit.policies.simple import Always
from jsplit.types import JsplitError

N, L, T, REPLICAS = 60, 4, 150, 3
SUMS = ("reward", "cost", "accuracy", "offloaded")
CHAIN = [[0.9, 0.06, 0.04], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]]
CHECKPOINTS = [1, 31, 64, 65, 120]


def trace_of(seed, *, lossy=False, label_seed=None):
    return random_trace(N, L, seed=seed, lossy=lossy, label_seed=label_seed)


def costs_of(seed):
    rng = np.random.default_rng(seed)
    return jsplit.Costs(
        np.cumsum(rng.uniform(0.02, 0.3, L)),
        rng.uniform(0, 0.05, L),
        rng.uniform(0, 0.4, L),
        mu=0.8,
        unit="ms",
        input=rng.uniform(0, 0.6),
    )


def conditions(first=0):
    """Three conditions with two routes each, the second over a lossy link."""
    return {
        name: Routes(
            (
                trace_of(first + m, label_seed=m),
                trace_of(first + m + 10, lossy=True, label_seed=m),
            ),
            (costs_of(first + m), costs_of(first + m + 20)),
        )
        for m, name in enumerate(("good", "fair", "bad"))
    }


def scenario_of(routes, how):
    return jsplit.Scenario(
        {
            name: jsplit.Condition(
                one.traces[0], one.costs[0], ((one.traces[1], one.costs[1]),)
            )
            for name, one in routes.items()
        },
        how,
    )


PAIRS = [
    *(Arm(depth, 0.7, route=route) for route in (0, 1) for depth in range(1, L)),
    Arm(L, twins.ALWAYS),
]
ARMS = {
    "splitee": twins.splits(L, 0.7),
    "route_ucb": PAIRS,
    "random_exit": twins.splits(L, 0.7),
    "final_exit": [Arm(L, twins.ALWAYS)],
    "offload_all(depth=0)": [Arm(0, twins.NEVER, "none")],
    "fixed_split(depth=2)": [Arm(2, 0.7)],
}
ENERGY = jsplit.Costs([1, 2, 4, 8], 0.5, [3, 3, 1, 1], unit="mJ")
LATENCY = [[costs_of(40 + 2 * m + route) for route in (0, 1)] for m in range(3)]
DEADLINES = {"cost": 0.5, "latency": 0.4}


def replay(routes, **options):
    with jax.enable_x64(True):
        return jsplit.evaluate(
            scenario_of(routes, drift.markov(CHAIN)),
            options.pop("policies", list(ARMS)),
            **{"num_replicas": REPLICAS, **options},
            horizon=T,
            record_arms=True,
            keep_curves=True,
            checkpoints=CHECKPOINTS,
        ).data


@pytest.fixture(scope="module")
def routes():
    return conditions()


@pytest.fixture(scope="module")
def result(routes):
    bills = {"energy": ENERGY, "latency": LATENCY}
    return replay(routes, bills=bills, deadlines=DEADLINES)


def steps_of(result, policy, replica):
    """(sample, condition, arm) of every step."""
    arms = result.arm.sel(policy=policy).values[replica]
    return zip(
        result.order.values[replica],
        result.condition_at.values[replica],
        (ARMS[policy][arm] for arm in arms),
        strict=True,
    )


def mean_reward(one, arm):
    return np.mean([act(one, arm, n).reward for n in range(N)])


def check_sums(result, routes, policy):
    here = list(routes.values())
    run = result.sel(policy=policy)
    for replica in range(REPLICAS):
        done = [act(here[m], arm, n) for n, m, arm in steps_of(result, policy, replica)]
        for name, values in zip(SUMS, zip(*done, strict=True), strict=True):
            np.testing.assert_allclose(
                run[name][replica], np.mean(values), rtol=1e-12, err_msg=name
            )


@pytest.mark.parametrize("policy", ARMS)
def test_sums_equal_the_loop(result, routes, policy):
    check_sums(result, routes, policy)


@pytest.mark.parametrize("policy", ARMS)
def test_plays_are_counted_by_condition(result, policy):
    run = result.sel(policy=policy)
    for replica in range(REPLICAS):
        counts = np.zeros((3, len(PAIRS)), int)
        played = run.arm.values[replica]
        np.add.at(counts, (result.condition_at.values[replica], played), 1)
        np.testing.assert_array_equal(run.condition_pulls[replica], counts)
        np.testing.assert_array_equal(run.pulls[replica], counts.sum(0))


@pytest.mark.parametrize("policy", ARMS)
def test_sums_by_condition_equal_the_loop(result, routes, policy):
    here, run = list(routes.values()), result.sel(policy=policy)
    rivals = ARMS[policy] if len(ARMS[policy]) > 1 else twins.splits(L, 0.7)
    means = [[mean_reward(one, arm) for arm in rivals] for one in here]
    best = [rivals[int(np.argmax(row))] for row in means]
    names = (*SUMS, "realised_regret", "pseudo_regret")
    for replica in range(REPLICAS):
        sums = {name: np.zeros(3) for name in names}
        for n, m, arm in steps_of(result, policy, replica):
            done = act(here[m], arm, n)
            realised = act(here[m], best[m], n).reward - done.reward
            pseudo = max(means[m]) - mean_reward(here[m], arm)
            step = (*done[: len(SUMS)], realised, pseudo)
            for name, value in zip(names, step, strict=True):
                sums[name][m] += value
        for name in names:
            kept = f"condition_{name}_sum" if name in SUMS else f"condition_{name}"
            found = run[kept].transpose("replica", "condition")
            np.testing.assert_allclose(
                found[replica], sums[name], rtol=1e-12, atol=1e-9, err_msg=name
            )


def test_table_by_condition_has_means_per_step_of_all_replicas(routes):
    result = replay(routes, num_replicas=64)  # of fewer, intervals are unknown
    table = jsplit.summarize_conditions(jsplit.Result(result), level=0.9).data
    steps = result.condition_pulls.sum("plan")  # [policy, replica, condition]
    assert (steps.std("replica") > 0).any()  # so that a mean of means is another
    np.testing.assert_array_equal(table.steps, steps.mean("replica")[0])
    right, paid = (
        result[f"condition_{name}_sum"].sum("replica") / steps.sum("replica")
        for name in ("accuracy", "cost")
    )
    assert result.condition_accuracy_sum.sum("condition").equals(
        (result.accuracy * T).round().transpose("policy", "replica")
    )
    for metric, expected in (
        ("accuracy", right),
        ("cost", paid),
        ("true_reward", right - 0.8 * paid),
    ):
        rows = table.sel(metric=metric)
        np.testing.assert_allclose(rows["mean"], expected, rtol=1e-12)
        assert (rows.low <= rows["mean"]).all()
        assert (rows["mean"] <= rows.high).all()
    pseudo = table["mean"].sel(metric="pseudo_regret").sum("condition")
    whole = result.pseudo_regret.mean("replica")
    np.testing.assert_allclose(pseudo, whole, atol=1e-9)
    by_hand = stats.ratio_interval(
        result.condition_cost_sum[0, :, 1], steps[0, :, 1], level=0.9
    )
    row = table.isel(policy=0, condition=1).sel(metric="cost")
    np.testing.assert_allclose([row["mean"], row.low, row.high], by_hand, rtol=1e-12)
    assert table.attrs["drift"] == result.attrs["drift"]


def test_table_by_condition_of_resampled_test_sets(routes):
    policies = ["final_exit", "offload_all(depth=0)"]
    found = replay(routes, policies=policies, stream="bootstrap", num_replicas=8)
    table = jsplit.summarize_conditions(jsplit.Result(found)).data
    width = table.high - table.low
    assert np.isfinite(width).all()
    pseudo, realised = (
        width.sel(metric=f"{name}_regret") for name in ("pseudo", "realised")
    )
    np.testing.assert_allclose(pseudo, realised, rtol=1e-9)


def test_results_say_whether_their_conditions_were_drawn(result):
    assert (
        "; conditions are drawn anew in every replica by markov("
        in (result.attrs["covers"])
    )
    costs = jsplit.Costs.splitee(L)
    pair = {name: (trace_of(0), costs) for name in "ab"}
    known = jsplit.Scenario(pair, drift.abrupt(3))
    found = jsplit.evaluate(known, ["final_exit"], num_replicas=2, stream="fixed").data
    assert found.attrs["covers"] == (
        "none: one fixed order; replicas differ by what is drawn within a run only; "
        "conditions follow abrupt(3)"
    )


def test_condition_that_never_holds_has_no_mean(result):
    never = result.copy(deep=True)
    for name, values in never.data_vars.items():
        if "condition" in values.dims:
            never[name].loc[{"condition": "bad"}] = 0
    table = jsplit.summarize_conditions(jsplit.Result(never)).data.sel(condition="bad")
    assert table.steps == 0
    assert np.isnan(table["mean"].sel(metric=["accuracy", "cost", "reward"])).all()
    with pytest.raises(JsplitError, match="Scenario with several conditions, got one"):
        jsplit.Result(never.drop_vars("condition_pulls")).summarize_conditions()


@pytest.mark.parametrize("policy", ARMS)
def test_regret_is_to_the_best_plan_of_each_steps_condition(result, routes, policy):
    """A single plan is compared with SplitEE's splits, others with their own plans."""
    here, run = list(routes.values()), result.sel(policy=policy)
    arms = ARMS[policy]
    rivals = arms if len(arms) > 1 else twins.splits(L, 0.7)
    means = [[mean_reward(one, arm) for arm in rivals] for one in here]
    best = [rivals[int(np.argmax(row))] for row in means]
    own = {arm: [mean_reward(one, arm) for one in here] for arm in arms}
    for replica in range(REPLICAS):
        pseudo, realised, good = [], [], []
        for n, m, arm in steps_of(result, policy, replica):
            gap = max(means[m]) - own[arm][m]
            pseudo.append(gap)
            good.append(gap < 1e-12)
            realised.append(
                act(here[m], best[m], n).reward - act(here[m], arm, n).reward
            )
        at = np.array([*CHECKPOINTS, T]) - 1
        for name, values in (("pseudo_regret", pseudo), ("realised_regret", realised)):
            want = np.cumsum(values)[at]
            np.testing.assert_allclose(
                run[f"{name}_curve"].values[:, replica], want, atol=1e-9
            )
        np.testing.assert_array_equal(
            run.best_played_curve.values[:, replica], np.cumsum(good)[at]
        )


def test_learners_play_what_their_loops_play(result, routes):
    """And what was learned under one condition is kept for the next, or apart."""
    here = list(routes.values())
    for policy, twin_of in (
        ("splitee", lambda: twins.UCB(L, 1.0)),
        ("route_ucb", lambda: twins.ContextualUCB(3, len(PAIRS), 1.0)),
    ):
        for replica in range(REPLICAS):
            twin, played = twin_of(), []
            for t in range(1, T + 1):
                n = result.order.values[replica, t - 1]
                m = result.condition_at.values[replica, t - 1]
                arm = twin.pick(t, m)
                played.append(arm)
                twin.learn(m, arm, {arm: act(here[m], ARMS[policy][arm], n).reward})
            np.testing.assert_array_equal(
                result.arm.sel(policy=policy)[replica], played
            )


def test_every_pass_visits_every_sample_whatever_the_condition(result):
    order = result.order.values
    for first in range(0, T - N + 1, N):
        assert (np.sort(order[:, first : first + N]) == np.arange(N)).all()
    assert (np.bincount(result.condition_at.values.ravel(), minlength=3) > 0).all()


# Bills.


def billed_steps(result, routes, policy, replica, bill):
    here = list(routes.values())
    for n, m, arm in steps_of(result, policy, replica):
        costs = here[m].costs
        if bill == "energy":
            costs = (ENERGY, ENERGY)
        elif bill == "latency":
            costs = LATENCY[m]
        yield act(Routes(here[m].traces, costs), arm, n).cost


@pytest.mark.parametrize("bill", ["cost", "energy", "latency"])
@pytest.mark.parametrize("policy", ARMS)
def test_bills_equal_the_loop(result, routes, policy, bill):
    run = result.sel(policy=policy, bill=bill)
    assert result["quantile"].values.tolist() == [0.5, 0.95, 0.99]
    for replica in range(REPLICAS):
        paid = np.sort([*billed_steps(result, routes, policy, replica, bill)])
        np.testing.assert_allclose(run.bill_mean[replica], paid.mean())
        for q in (0.5, 0.95, 0.99):
            # The smallest cost that at least a share q of the steps do not exceed.
            rank = math.ceil(round(q * T, 6))
            assert (paid <= paid[rank - 1] + 1e-12).mean() >= q
            np.testing.assert_allclose(
                run.bill_quantile.sel(quantile=q)[replica], paid[rank - 1]
            )
        if bill in DEADLINES:
            late = (paid > DEADLINES[bill]).mean()
            np.testing.assert_allclose(run.bill_late[replica], late)
        else:
            assert np.isnan(run.bill_late[replica])


def test_costs_of_bills_are_stored_and_read_back(result, tmp_path):
    path = tmp_path / "result.nc.gz"
    jsplit.Result(result).save(path)
    found = jsplit.load_result(path).bill_costs()
    numbers = {
        name: [[costs.numbers for costs in routes] for routes in by_condition]
        for name, by_condition in found.items()
    }
    assert numbers == {
        "energy": [[ENERGY.numbers] * 2] * 3,
        "latency": [[costs.numbers for costs in routes] for routes in LATENCY],
    }


def test_parts_whose_bills_cost_otherwise_are_not_joined(result, routes):
    def more(energy):
        bills = {"energy": energy, "latency": LATENCY}
        return replay(routes, bills=bills, deadlines=DEADLINES, first_replica=REPLICAS)

    second = more(ENERGY)
    joined = jsplit.Result.join([jsplit.Result(x) for x in (result, second)]).data
    assert joined.sizes["replica"] == 2 * REPLICAS
    assert joined.attrs["bills"] == result.attrs["bills"]
    dearer = more(jsplit.Costs(**{**ENERGY.numbers, "input": 9.0}))
    untold = second.copy()
    del untold.attrs["bills"]
    for parts in ([result, dearer], [result, untold], [untold, result]):
        with pytest.raises(JsplitError, match="parts must agree in bills, and do not"):
            jsplit.Result.join([jsplit.Result(x) for x in parts])


def test_deadlines_matter_here(result):
    late = result.bill_late.sel(bill=["cost", "latency"], policy="random_exit")
    assert ((late > 0) & (late < 1)).all()


def test_a_cost_at_the_deadline_is_in_time():
    """0.1 + 0.2 is above 0.3 in floating point only."""
    trace, costs = trace_of(0), jsplit.Costs([0.1, 0.2, 0.3, 0.4], 0.2)
    for deadline, late in ((0.3, 0), (0.299999, 1)):
        found = jsplit.evaluate(
            trace,
            [Policy("first", lambda *_: plans.stack([plans.exit_at(L, 1)]), Always())],
            costs,
            num_replicas=1,
            deadlines={"cost": deadline},
        ).data
        assert found.bill_late.item() == late
        np.testing.assert_allclose(found.bill_mean, 0.3)


# What changes nothing.


def assert_same(result, other, names=None):
    for name in result if names is None else names:
        np.testing.assert_array_equal(result[name], other[name], err_msg=name)


def test_one_condition_is_the_trace_itself():
    trace, costs = trace_of(0), costs_of(0)
    how = {"num_replicas": REPLICAS, "record_arms": True, "keep_curves": True}
    policies = ["splitee", "contextual_ucb", "final_exit"]
    plain = jsplit.evaluate(trace, policies, costs, **how).data
    alone = jsplit.Scenario({"only": (trace, costs)})
    wrapped = jsplit.evaluate(alone, policies, **how).data
    assert set(plain) == set(wrapped)
    assert_same(plain, wrapped)
    assert plain.attrs["trace_sha256"] == wrapped.attrs["trace_sha256"]
    assert "condition_pulls" not in plain
    np.testing.assert_array_equal(plain.checkpoint, wrapped.checkpoint)
    # Conditions that are all alike change only what is counted by them.
    twice = jsplit.Scenario(
        {"a": (trace, costs), "b": (trace, costs)}, drift.periodic(7)
    )
    alike = jsplit.evaluate(
        twice, policies, checkpoints=plain.checkpoint.values[:-1].tolist(), **how
    ).data.sel(policy=["splitee", "final_exit"])
    plain = plain.sel(policy=["splitee", "final_exit"])
    assert_same(
        plain, alike, ["order", "arm", "pulls", "accuracy", "best_played_curve"]
    )
    np.testing.assert_array_equal(alike.condition_pulls.sum("condition"), plain.pulls)
    for name in ("reward", "cost", "pseudo_regret", "realised_regret"):
        np.testing.assert_allclose(plain[name], alike[name], rtol=1e-5, atol=1e-5)


def test_devices_blocks_and_company_change_nothing(routes):
    """Of a stream that drifts at random."""

    def run(**options):
        return jsplit.evaluate(
            scenario_of(routes, drift.markov(CHAIN)),
            ["route_ucb"],
            num_replicas=40,
            record_arms=True,
            keep_curves=True,
            bills={},
            **options,
        ).data

    first = run()
    assert np.unique(first.condition_at, axis=0).shape[0] == 40
    one = run(devices=jax.devices()[:1], block_size=8)
    assert set(one) == set(first)
    assert_same(first, one)


def test_best_plan_alone_is_best_at_every_step(x64):
    """The order in which means are added up does not tell it from itself."""
    trace = trace_of(1)
    for depth in range(1, L + 1):
        offload = np.where(np.arange(1, L + 1) == depth, 0.0, 0.9)
        costs = jsplit.Costs([0.1, 0.1, 0.1, 0.1], 0.0, offload)
        found = jsplit.evaluate(
            trace,
            [f"fixed_split(depth={d})" for d in range(1, L + 1)],
            costs,
            num_replicas=1,
        ).data.isel(replica=0)
        arms = twins.splits(L, 0.7)
        here = Routes((trace,), (costs,))
        means = np.array([mean_reward(here, arm) for arm in arms])
        best = means == means.max()
        np.testing.assert_array_equal(found.best_played, N * best)
        assert (found.pseudo_regret.values[best] == 0).all()


def test_another_chain_cost_trace_or_seed_compiles_nothing(result):
    again = np.array(CHAIN)[::-1, ::-1]
    other = conditions(first=5)
    with compilations() as found, jax.enable_x64(True):
        second = jsplit.evaluate(
            scenario_of(other, drift.markov(again)),
            list(ARMS),
            num_replicas=REPLICAS,
            horizon=T,
            record_arms=True,
            keep_curves=True,
            checkpoints=CHECKPOINTS,
            bills={"energy": LATENCY[0][0], "latency": LATENCY},
            deadlines={"cost": 0.3},
            seed=7,
        ).data
    assert found == []
    assert (second.condition_at != result.condition_at).any()
    check_sums(second, other, "route_ucb")


# Protocol and streams.


def test_free_plays_meet_the_conditions_of_their_samples(routes):
    """Arm k starts with sample k of the stream, under the condition of step k."""
    here, arms = list(routes.values()), twins.splits(L, 0.7)
    protocol = jsplit.Protocol(initial_plays="free")
    found = replay(routes, policies=["splitee"], protocol=protocol)
    for replica in range(REPLICAS):
        order, held = found.order.values[replica], found.condition_at.values[replica]
        twin = twins.UCB(L, 1.0)
        for k in range(L):
            twin.learn(None, k, {k: act(here[held[k]], arms[k], order[k]).reward})
        played = []
        for t in range(1, T + 1):
            n, m = order[t - 1], held[t - 1]
            arm = twin.pick(t + L)  # rounds count the plays that were free
            played.append(arm)
            twin.learn(None, arm, {arm: act(here[m], arms[arm], n).reward})
        np.testing.assert_array_equal(found.arm.values[0, replica], played)
    assert len(set(found.condition_at.values[:, :L].ravel())) > 1


def test_bootstrap_resamples_under_drift(routes):
    policies = ["offload_all(depth=0)", "final_exit"]
    found = replay(routes, policies=policies, stream="bootstrap")
    for policy in policies:
        check_sums(found, routes, policy)
    # Replicas 0 to 3 share a resampled test set, in other orders and conditions.
    first = [np.bincount(order[:N], minlength=N) for order in found.order.values]
    assert first[0].max() > 1
    assert (first[0] == first[1]).all()
    assert (found.order.values[0] != found.order.values[1]).any()
    assert (found.condition_at.values[0] != found.condition_at.values[1]).any()
    assert (found.order.values[:, :N] != found.order.values[:, N : 2 * N]).any()


def test_short_runs_have_a_checkpoint_at_every_step():
    pair = (trace_of(0), costs_of(0))
    short = jsplit.Scenario({"a": pair, "b": pair}, drift.abrupt(5))
    how = {"num_replicas": 4, "horizon": 20, "keep_curves": True}
    found = jsplit.evaluate(short, ["random_exit"], **how).data
    assert found.checkpoint.values.tolist() == [*range(1, 21)]
    regret = found.pseudo_regret_curve.values
    assert (np.diff(regret, axis=1) >= 0).all()
    even = jsplit.evaluate(short, ["random_exit"], num_checkpoints=4, **how).data
    assert even.checkpoint.values.tolist() == [5, 10, 15, 20]
    np.testing.assert_allclose(
        even.pseudo_regret_curve, regret[:, [4, 9, 14, 19]], 1e-5
    )


# Provenance.


def test_result_says_where_it_came_from_and_can_be_stored(result, routes, tmp_path):
    path = tmp_path / "result.nc.gz"
    jsplit.Result(result).save(path)
    stored = jsplit.load_result(path).data
    assert set(stored) == set(result)
    assert_same(stored, result)
    assert stored.condition.values.tolist() == list(routes)
    assert stored.attrs["drift"].startswith("markov([[0.9")
    assert stored.attrs["covers"].endswith(stored.attrs["drift"])
    assert json.loads(stored.attrs["deadlines"]) == DEADLINES
    told = json.loads(stored.attrs["conditions"])
    for name, one in routes.items():
        for found, trace, costs in zip(told[name], one.traces, one.costs, strict=True):
            assert found["trace_sha256"] == trace.sha256
            assert found["offload"] == costs.offload.tolist()
            assert found["input"] == costs.input


def test_routes_of_a_single_condition_are_stored_too():
    pair, route = ((trace_of(n, label_seed=0), costs_of(n)) for n in (0, 1))
    alone = jsplit.Scenario({"only": jsplit.Condition(*pair, (route,))})
    found = jsplit.evaluate(alone, ["final_exit"], num_replicas=1).data
    (told,) = json.loads(found.attrs["conditions"]).values()
    assert [one["trace_sha256"] for one in told] == [pair[0].sha256, route[0].sha256]
    assert "drift" not in found.attrs


# Bad input.


def first_route(route):
    build = lambda *_: plans.stack([plans.by_route(plans.offload_all(L), route)])  # noqa: E731
    return Policy("shipped", build, Always())


TRACE, COSTS = trace_of(0), costs_of(0)


def run(**options):
    return lambda: jsplit.evaluate(TRACE, ["final_exit"], COSTS, **options).data


def routes_of(*traces):
    """A scenario of one condition with these routes."""
    first, *others = ((trace, COSTS) for trace in traces)
    return jsplit.Scenario({"a": jsplit.Condition(*first, tuple(others))})


def test_labels_that_are_unknown_agree():
    unlabelled = jsplit.Trace.from_arrays(TRACE.confidence, correct=TRACE.correct)
    assert routes_of(TRACE, unlabelled, TRACE).num_samples == N
    assert routes_of(unlabelled, TRACE).num_samples == N


BAD = {
    "routes of other samples": (
        lambda: routes_of(TRACE, TRACE, trace_of(1)),
        "condition 'a': all routes must be traces of the same samples, got other "
        "labels in route 2",
    ),
    "routes": (
        lambda: jsplit.evaluate(TRACE, [first_route(1)], COSTS).data,
        "policy shipped needs 2 routes, got 1",
    ),
    "routes, exactly": (
        lambda: jsplit.exact_values(TRACE, [first_route(1)], COSTS).data,
        "policy shipped needs 2 routes, got 1",
    ),
    "checkpoint 0": (run(checkpoints=[0]), "checkpoints must be an integer from 1 to"),
    "checkpoint 61": (run(checkpoints=[61]), "checkpoints must be an integer from 1"),
    "one checkpoint": (run(checkpoints=5), "checkpoints must be a list of steps, got"),
    "bills": (run(bills=3), "bills must be a dict of costs by name, got 3"),
    "bill": (run(bills={"a": 3}), "bill 'a' must hold one Costs, or one per condition"),
    "bill of two": (run(bills={"a": [COSTS] * 2}), "bill 'a' must hold one Costs, or"),
    "bill of routes": (run(bills={"a": [[COSTS] * 2]}), "bill 'a' must hold one Costs"),
    "bill of exits": (
        run(bills={"a": jsplit.Costs([1, 2])}),
        "bill 'a' must hold costs for 4 exits, got Costs",
    ),
    "own bill": (run(bills={"cost": COSTS}), "bills must not be called 'cost'"),
    "bill of a metric": (run(bills={"reward": COSTS}), "bills must not be called 'rew"),
    "deadlines": (run(deadlines=0.5), "deadlines must be a dict of numbers by name"),
    "deadline": (run(deadlines={"cots": 1}), "deadlines must be one of cost, got"),
    "no deadline": (run(deadlines={"cost": None}), "deadline of cost must be a finite"),
    "below 0": (run(deadlines={"cost": -1}), "deadline of cost must be a finite"),
}


@pytest.mark.parametrize(("call", "words"), BAD.values(), ids=list(BAD))
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(JsplitError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(words)
