"""Axes of a sweep: what varies, alone or together, and rules that are fitted anew."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import fitting
from jsplit.sweeps import parcels
from jsplit.types import JsplitError

TRACE = random_trace(60, 4, seed=1)
HOW = {"num_replicas": 16, "seed": 3}
POLICIES = ["splitee", "ucb1(alpha=0.7)", "final_exit"]


def cell_of(runs, **at):
    cell = runs.data
    for name, value in at.items():
        cell = cell.isel({cell[name].dims[0]: (cell[name] == value).values.argmax()})
    return cell["mean"].sel(metric="cost")


def alone(trace, policies, costs=None):
    result = jsplit.evaluate(trace, policies, costs, **HOW)
    return result.metric("cost").mean(-1)


def test_axes_that_vary_together_are_one_dimension():
    points = [(0.1, 0.6), (0.2, 0.7), (0.4, 0.6)]
    over = {("offload", "alpha"): points, "splitee.beta": [0.5, 1.0]}
    runs = jsplit.sweep(TRACE, POLICIES, jsplit.Costs.splitee, over, **HOW)
    dims = ("offload+alpha", "splitee.beta", "policy", "metric")
    assert runs["mean"].dims == dims
    assert runs["offload"].values.tolist() == [0.1, 0.2, 0.4]
    for i, (offload, alpha) in enumerate(points):
        found = runs["mean"].isel({"offload+alpha": i}).sel(metric="cost")
        found = found.sel({"splitee.beta": 0.5})
        policies = [jsplit.make_policy("splitee", alpha=alpha, beta=0.5), *POLICIES[1:]]
        costs = jsplit.Costs.splitee(4, offload=offload)
        np.testing.assert_allclose(found, alone(TRACE, policies, costs), rtol=1e-12)


def test_numbers_of_policies_may_vary_together():
    """A policy without any of them is run once."""
    over = {("alpha", "beta"): [(0.6, 0.5), (0.7, 1.0)]}
    runs = jsplit.sweep(TRACE, POLICIES, jsplit.Costs.splitee(4), over, **HOW)
    mean = runs["mean"].sel(metric="cost")
    assert np.ptp(mean.sel(policy="final_exit").values) == 0
    policies = [
        jsplit.make_policy("splitee", alpha=0.7, beta=1.0),
        "ucb1(alpha=0.7)",
        "final_exit",
    ]
    expected = alone(TRACE, policies, jsplit.Costs.splitee(4))
    np.testing.assert_allclose(mean.isel({"alpha+beta": 1}), expected, rtol=1e-12)
    best = runs.best("cost").set_index("policy")
    assert np.isnan(best.loc["final_exit", "alpha"])
    assert best.loc["splitee", "beta"] in (0.5, 1.0)


def test_scenarios_stand_in_place_of_traces():
    costs = jsplit.Costs.splitee(4), jsplit.Costs.splitee(4, offload=0.9)
    link = {"good": (TRACE, costs[0]), "bad": (TRACE, costs[1])}
    scenarios = {
        "steady": jsplit.Scenario({"good": (TRACE, costs[0])}),
        "changing": jsplit.Scenario(link, jsplit.drift.periodic(20)),
    }
    runs = jsplit.sweep(scenarios, POLICIES, over={"beta": [0.5, 1.0]}, **HOW)
    for name, scenario in scenarios.items():
        policies = [
            jsplit.make_policy("splitee", beta=0.5),
            "ucb1(alpha=0.7)",
            "final_exit",
        ]
        found = cell_of(runs, trace=name, beta=0.5)
        np.testing.assert_allclose(found, alone(scenario, policies), rtol=1e-12)
    one = jsplit.sweep(scenarios["changing"], ["final_exit"], **HOW)
    assert one.axes == {}


def test_costs_may_have_names_or_come_from_a_profile():
    device = jsplit.Machine(1.0, watts=2.0)

    def on_a_link(num_exits, mbps, unit):
        flops = [1e6] * num_exits
        link = jsplit.Link(mbps=mbps, rtt_ms=1.0)
        profile = jsplit.Profile(
            flops, [1e4] * num_exits, [500] * num_exits, device, link, device
        )
        return profile.costs(unit, mu=0.1)

    over = {"mbps": [1.0, 10.0], "unit": ["ms", "mJ"]}
    runs = jsplit.sweep(TRACE, ["splitee", "final_exit"], on_a_link, over, **HOW)
    named = {"slow": on_a_link(4, 1.0, "ms"), "fast": on_a_link(4, 10.0, "ms")}
    same = jsplit.sweep(TRACE, ["splitee", "final_exit"], named, **HOW)
    assert same.axes == {"costs": ["slow", "fast"]}
    np.testing.assert_array_equal(
        same["mean"].values, runs["mean"].sel(unit="ms").values
    )


def test_rules_are_fitted_anew_in_every_environment():
    costs = {"near": 0.05, "far": 0.6}
    rules = ["best_split", "budget_cascade(budget=0.2)"]
    runs = jsplit.sweep(
        TRACE,
        ["final_exit"],
        jsplit.Costs.splitee,
        {"offload": [*costs.values()]},
        fit=rules,
        held_out=0.3,
        **HOW,
    )
    assert runs.policies == ["final_exit", *rules]
    held_out, judged = fitting.split_trace(TRACE, 0.3, seed=3)
    for offload in costs.values():
        here = jsplit.Costs.splitee(4, offload=offload)
        policies = ["final_exit", *(fitting.fit_rule(x, held_out, here) for x in rules)]
        found = cell_of(runs, offload=offload)
        np.testing.assert_allclose(found, alone(judged, policies, here), rtol=1e-12)


def test_a_function_may_be_fitted_on_scenarios():
    seen = []

    def first_exit(held_out, costs):
        seen.append((held_out.num_samples, costs.offload[0]))
        return jsplit.make_policy("fixed_split", depth=1)

    scenario = jsplit.Scenario({"": (TRACE, jsplit.Costs.splitee(4, offload=0.3))})
    runs = jsplit.sweep(
        {"a": scenario}, ["final_exit"], fit={"mine": first_exit}, **HOW
    )
    assert runs.policies == ["final_exit", "mine"]
    assert seen == [(12, 0.3)]


def test_random_axes_are_drawn_once_and_in_their_ranges():
    ranges = {
        "alpha": (0.5, 0.9),
        "beta": (0.1, 10, "log"),
        "window": (2, 4, "integer"),
    }
    ((names, points),) = jsplit.random_axes(ranges, 500, seed=1).items()
    assert jsplit.random_axes(ranges, 500, seed=1) == {names: points}
    assert jsplit.random_axes(ranges, 500, seed=2) != {names: points}
    alpha, beta, window = np.array(points).T
    assert alpha.min() >= 0.5
    assert alpha.max() <= 0.9
    assert np.ptp(alpha) > 0.38
    assert beta.min() >= 0.1
    assert beta.max() <= 10
    assert abs(np.median(np.log(beta))) < 0.4
    assert sorted({*window}) == [2, 3, 4]
    assert sorted(jsplit.random_axes({"w": (2, 4, "integer")}, 500)["w"]) == [2, 3, 4]


SCENARIO = jsplit.Scenario({"": (TRACE, jsplit.Costs.splitee(4))})
BAD = {
    "lengths": (
        {"over": {("offload", "alpha"): [(0.1, 0.6), (0.2,)]}},
        r"axes offload, alpha must have 2 values at every point, got \(0.2,\)",
    ),
    "twice": (
        {"over": {("offload", "alpha"): [(0.1, 0.6)], "alpha": [0.5]}},
        "name every axis once, got alpha twice",
    ),
    "value": ({"over": {"splitee.alpha": [0.5, 1.5]}}, r"got 1.5 \(at alpha=1.5\)"),
    "cost": ({"over": {"offload": [0.1, -1]}}, r"\(at offload=-1\)"),
    "scenario with costs": ({"trace": SCENARIO}, "not be given with scenarios"),
    "both": ({"trace": {"a": SCENARIO, "b": TRACE}}, "traces or scenarios, got both"),
    "no costs": ({"costs": None}, "costs must be a jsplit.Costs or a function"),
    "names of nothing": ({"costs": {"a": 5}}, "or several costs by name"),
    "rule": ({"fit": ["best_spilt"]}, "did you mean 'best_split'"),
    "number of a rule": ({"fit": ["budget_cascade"]}, "needs budget"),
    "what is fitted": ({"fit": {"a": lambda *x: 5}}, "fit a must return a jsplit.Pol"),
    "share": ({"fit": ["best_split"], "held_out": 1.0}, "held_out: share must leave"),
    "same label": ({"fit": {"splitee": "best_split"}}, "all be different, got 'splite"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=list(BAD))
def test_bad_axes_are_named_before_anything_runs(changes, message, monkeypatch):
    monkeypatch.setattr(parcels, "perform", None)
    given = {"trace": TRACE, "costs": jsplit.Costs.splitee, "over": {}} | changes
    with pytest.raises(JsplitError, match=message) as error:
        jsplit.sweep(policies=["splitee"], **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([1], "ranges must be a dict"),
        ({"a": (1, 0)}, "high of a must be"),
        ({"a": (0, 1, "log")}, "low of a must be > 0"),
        ({"a": (0, 1, "lgo")}, "did you mean 'log'"),
        ({"a": (0.5, 1, "integer")}, "low of a must be an integer"),
    ],
)
def test_bad_ranges_are_refused(ranges, message):
    with pytest.raises(JsplitError, match=message):
        jsplit.random_axes(ranges, 3)


def test_the_share_that_rules_are_fitted_on_is_part_of_a_sweep(tmp_path):
    def fitted(held_out):
        how = {"fit": ["best_split"], "held_out": held_out, "out": tmp_path, **HOW}
        jsplit.sweep(TRACE, ["final_exit"], jsplit.Costs.splitee(4), **how)

    fitted(0.3)
    with pytest.raises(JsplitError, match=r"held_out was 0.3, is 0.4"):
        fitted(0.4)


def test_a_number_that_a_bare_name_shows_may_be_an_axis():
    costs, over = jsplit.Costs.splitee(4), {"depth": [1, 3]}
    runs = jsplit.sweep(TRACE, ["fixed_split", "final_exit"], costs, over, **HOW)
    assert runs.policies == ["fixed_split", "final_exit"]
    for depth in over["depth"]:
        expected = alone(TRACE, [f"fixed_split(depth={depth})", "final_exit"], costs)
        np.testing.assert_allclose(cell_of(runs, depth=depth), expected, rtol=1e-12)
