"""Sweeps: every cell as `evaluate` alone, and folders that survive."""

import itertools
import os
import threading

import numpy as np
import pytest
from conftest import compilations, random_trace

import jsplit
from jsplit import stats
from jsplit.engine import pace, shard
from jsplit.sweeps import parcels, replaying, tasks
from jsplit.types import JsplitError

TRACE = random_trace(60, 4, seed=1)
OVER = {"offload": [0.1, 0.4], "alpha": [0.6, 0.8]}
POLICIES = ["splitee", "fixed_split(depth=2)", "final_exit", "ucb1(alpha=0.7)"]
HOW = {"num_replicas": 128, "seed": 3}
COSTS_OF_ONE = jsplit.Costs.splitee(4, offload=0.4)
METRICS = ["accuracy", "cost", "offloaded", "reward", "true_reward", "pseudo_regret"]


@pytest.fixture(scope="module")
def runs():
    return jsplit.sweep(TRACE, POLICIES, jsplit.Costs.splitee, OVER, **HOW)


def alone(offload, alpha):
    """The policies of one cell, by `evaluate`."""
    policies = [
        jsplit.make_policy("splitee", alpha=alpha),
        jsplit.make_policy("fixed_split", depth=2, alpha=alpha),
        "final_exit",
        "ucb1(alpha=0.7)",
    ]
    costs = jsplit.Costs.splitee(4, offload=offload)
    return jsplit.evaluate(TRACE, policies, costs, **HOW)


def compared(values):
    """The paired differences to final_exit."""
    return stats.paired_difference(values, np.broadcast_to(values[2], values.shape))


def test_dims_are_the_axes_then_policy_and_metric(runs):
    assert runs.axes == OVER
    assert runs["mean"].dims == ("offload", "alpha", "policy", "metric")
    assert runs.policies == POLICIES
    assert not np.isnan(runs["mean"]).any()
    assert "2 offload x 2 alpha, 4 policies" in repr(runs)


def test_every_cell_is_evaluate_alone(runs):
    found = runs.summarize().data
    for offload, alpha in itertools.product(*OVER.values()):
        result = alone(offload, alpha)
        cell = runs.data.sel(offload=offload, alpha=alpha)
        for metric in METRICS:
            values = result.metric(metric)
            mean = cell["mean"].sel(metric=metric).values
            constant = np.ptp(values, axis=1) <= 1e-7 * np.abs(values).max(1)
            expected = np.where(constant, values[:, 0], values.mean(1))
            np.testing.assert_array_equal(mean, expected, err_msg=metric)
            paired = stats.paired_difference(
                values, np.broadcast_to(values[2], values.shape)
            )
            low = found["difference_low"].sel(
                offload=offload, alpha=alpha, metric=metric
            )
            np.testing.assert_allclose(low, paired.low, rtol=1e-9, atol=1e-12)
            interval = stats.mean_interval(values)
            high = found["high"].sel(offload=offload, alpha=alpha, metric=metric)
            np.testing.assert_allclose(high, interval.high, rtol=1e-9, atol=1e-12)


def test_a_policy_without_an_axis_is_the_same_at_all_its_values(runs):
    for policy in ("final_exit", "ucb1(alpha=0.7)"):
        mean = runs["mean"].sel(policy=policy)
        assert (mean.isel(alpha=0) == mean.isel(alpha=1)).all()
    best = runs.best("reward")
    assert best.set_index("policy")["alpha"].isna().tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_p_values_are_adjusted_over_all_cells(runs):
    table = runs.summarize().data
    assert np.isnan(table["p_value"].sel(policy="final_exit")).all()
    raw = []
    for offload, alpha in itertools.product(*OVER.values()):
        values = alone(offload, alpha).metric("cost")
        raw.append(
            stats.paired_difference(
                values,
                np.broadcast_to(values[2], values.shape),
                exact=[False, True, True, False],
            ).p_value
        )
    raw = np.delete(np.stack(raw), 2, axis=1)
    found = np.delete(
        table["p_value"].sel(metric="cost").values.reshape(4, 4), 2, axis=1
    )
    expected = stats.benjamini_hochberg(raw.ravel()).reshape(raw.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-300)


@pytest.mark.parametrize("stream", ["shuffle", "bootstrap"])
def test_test_set_error_is_that_of_evaluate(stream):
    runs = jsplit.sweep(
        TRACE,
        ["splitee", "final_exit"],
        jsplit.Costs.splitee,
        {"offload": [0.2]},
        stream=stream,
        **HOW,
    )
    costs = jsplit.Costs.splitee(4, offload=0.2)
    result = jsplit.evaluate(
        TRACE, ["splitee", "final_exit"], costs, stream=stream, **HOW
    )
    ours = runs.summarize(level=0.9).data.isel(offload=0)
    theirs = result.summarize(level=0.9).data
    for metric in ("accuracy", "cost", "reward"):
        for name in ("low", "high", "difference_low", "difference_high"):
            np.testing.assert_allclose(
                ours[name].sel(metric=metric),
                theirs[name].sel(metric=metric),
                rtol=1e-9,
                atol=1e-12,
            )


@pytest.mark.parametrize("stream", ["shuffle", "bootstrap"])
def test_few_replicas_are_as_unknown_as_those_of_evaluate(stream):
    policies, costs = ["splitee", "fixed_split(depth=2)", "final_exit"], COSTS_OF_ONE
    how = {"num_replicas": 8, "seed": 3, "stream": stream}
    runs = jsplit.sweep(
        TRACE, policies, jsplit.Costs.splitee, {"offload": [0.4]}, **how
    )
    ours = runs.summarize().data.isel(offload=0)
    theirs = jsplit.evaluate(TRACE, policies, costs, **how).summarize().data
    for metric in METRICS[:-1]:
        for name in ("low", "high", "difference_low", "difference_high"):
            wanted = theirs[name].sel(metric=metric)
            found = ours[name].sel(metric=metric)
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
    cost = ours["low"].sel(metric="cost")
    assert np.isnan(cost.sel(policy="splitee")) == (stream == "shuffle")
    assert np.isfinite(cost.sel(policy="fixed_split(depth=2)"))


def test_traces_and_the_run_may_be_axes():
    traces = {"one": TRACE, "two": random_trace(60, 4, seed=2)}
    over = {"protocol": ["paper", "released"], "horizon": [30, 60]}
    costs = jsplit.Costs.splitee(4)
    runs = jsplit.sweep(traces, ["splitee"], costs, over, **HOW)
    assert runs["mean"].dims[:3] == ("trace", "protocol", "horizon")
    cell = runs["mean"].sel(trace="two", protocol="released", horizon=30, metric="cost")
    result = jsplit.evaluate(
        traces["two"], ["splitee"], costs, protocol="released", horizon=30, **HOW
    )
    assert cell.item() == result["cost"].values.mean()


def test_every_stream_has_its_own_error():
    streams = ["bootstrap", "fixed", "shuffle"]
    costs = jsplit.Costs.splitee(4)
    policies = ["splitee", "final_exit"]
    runs = jsplit.sweep(TRACE, policies, costs, {"stream": streams}, **HOW)
    table = runs.summarize().data
    for stream in streams:
        result = jsplit.evaluate(TRACE, policies, costs, stream=stream, **HOW)
        theirs = result.summarize().data.sel(metric="accuracy")
        ours = table.sel(stream=stream, metric="accuracy")
        for name in ("low", "high", "difference_low", "difference_high"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12)
    assert "stream" not in runs.attrs
    assert runs.attrs["seed"] == 3


def test_a_baseline_may_have_axes():
    """A policy without them is compared with it at each of its values."""
    policies = ["splitee", "final_exit"]
    runs = jsplit.sweep(
        TRACE,
        policies,
        jsplit.Costs.splitee(4),
        {"alpha": [0.6, 0.8]},
        baseline="splitee",
        **HOW,
    )
    assert (runs["difference_mean"].sel(policy="splitee") == 0).all()
    mean = runs["mean"].sel(metric="cost")
    expected = mean.sel(policy="final_exit") - mean.sel(policy="splitee")
    found = runs["difference_mean"].sel(policy="final_exit", metric="cost")
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_another_value_compiles_nothing(runs):
    with compilations() as found:
        jsplit.sweep(
            TRACE,
            ["splitee"],
            jsplit.Costs.splitee,
            {"offload": [0.11, 0.33], "alpha": [0.61]},
            **HOW,
        )
    assert found == []


@pytest.fixture
def one_place_each(monkeypatch):
    monkeypatch.setattr(tasks, "MAX_PLACES", 1)


def test_a_folder_goes_on_where_it_stopped(runs, tmp_path, monkeypatch, one_place_each):
    replayed = []
    replay = parcels.perform

    def counting(task, advance, midway):
        (place,) = task.places
        replayed.append(dict(place.at))
        if len(replayed) == 2:
            raise KeyboardInterrupt
        return replay(task, advance, midway)

    monkeypatch.setattr(parcels, "perform", counting)

    def again():
        return jsplit.sweep(
            TRACE, POLICIES, jsplit.Costs.splitee, OVER, out=tmp_path / "a", **HOW
        )

    with pytest.raises(KeyboardInterrupt):
        again()
    found = again()
    assert replayed == [{"offload": 0.1}, {"offload": 0.4}, {"offload": 0.4}]
    assert found.data.equals(runs.data)
    again()
    assert len(replayed) == 3


def test_a_damaged_part_is_set_aside_and_computed_again(
    runs, tmp_path, capfd, one_place_each
):
    out = tmp_path / "a"
    how = {"out": out, **HOW}
    jsplit.sweep(TRACE, POLICIES, jsplit.Costs.splitee, OVER, **how)
    parts = sorted(out.glob("*.nc.gz"))
    assert len(parts) == 2
    content = bytearray(parts[0].read_bytes())
    content[len(content) // 2] ^= 1
    parts[0].write_bytes(content)
    found = jsplit.sweep(
        TRACE, POLICIES, jsplit.Costs.splitee, OVER, progress=True, **how
    )
    assert found.data.equals(runs.data)
    assert [path.suffix for path in out.iterdir()].count(".damaged") == 1
    assert "computed again" in capfd.readouterr().err


def test_a_folder_of_another_sweep_is_refused_with_what_differs(tmp_path):
    def run(**changes):
        how = {"num_replicas": 4, "seed": 0, "out": tmp_path / "a", **changes}
        jsplit.sweep(TRACE, ["final_exit"], jsplit.Costs.splitee(4), {}, **how)

    run()
    run()
    with pytest.raises(JsplitError, match=r"another sweep: num_replicas was 4, is 8"):
        run(num_replicas=8)
    (tmp_path / "a" / "sweep.json").write_text("[" * 10_000)
    with pytest.raises(JsplitError, match="damaged or not of a sweep") as error:
        run()
    assert os.linesep not in str(error.value)


def test_runs_come_back_from_a_file(runs, tmp_path):
    runs.save(tmp_path / "a.nc.gz")
    again = jsplit.Runs.load(tmp_path / "a.nc.gz")
    assert again.data.equals(runs.data)
    assert again.best("cost").equals(runs.best("cost"))
    table = again.summarize()
    jsplit.report.to_csv(table, tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0].startswith("offload,alpha,policy,metric,mean,low,high,")
    assert len(lines) == 1 + runs["mean"].size


BAD = {
    "trace": ({"trace": 5}, "trace must be a jsplit.Trace or a dict of them"),
    "costs": ({"costs": 5}, "costs must be a jsplit.Costs or a function"),
    "costs that make none": (
        {"costs": lambda num_exits: num_exits, "over": {}},
        "costs must return a jsplit.Costs",
    ),
    "over": ({"over": [1]}, "over must be a dict of values by axis"),
    "empty axis": ({"over": {"alpha": []}}, "axis alpha must have at least one value"),
    "repeated": (
        {"over": {"alpha": [0.5, 0.5]}},
        "different values, got 0.5",
    ),
    "text": ({"over": {"alpha": "0.5"}}, "values of axis alpha must be a list"),
    "misspelt": ({"over": {"ofload": [1]}}, "did you mean 'offload'"),
    "other policy": ({"over": {"ucb1.alpha": [0.5]}}, "policy of axis ucb1.alpha must"),
    "other number": ({"over": {"splitee.alpa": [0.5]}}, "did you mean 'alpha'"),
    "value": (
        {"over": {"alpha": [1.5]}},
        "alpha must be a number from 0 to 1",
    ),
    "cost": ({"over": {"offload": [-1]}}, "offload must be finite and >= 0"),
    "taken by none": (
        {"policies": ["fixed_split(depth=2)"], "over": {"depth": [1, 2]}},
        r"axis depth must be of a policy whose depth is not given, got fixed_split\(d",
    ),
    "value for the trace": (
        {"policies": ["fixed_split"], "over": {"depth": [2, 5]}},
        r"depth must be an integer from 1 to 4, got 5 \(at depth=5\)",
    ),
    "value for one trace": (
        {
            "trace": {"deep": TRACE, "flat": random_trace(60, 3, seed=1)},
            "policies": ["fixed_split"],
            "over": {"depth": [4]},
        },
        r"from 1 to 3, got 4 \(at trace='flat', depth=4\)",
    ),
    "baseline": ({"baseline": "final_exit"}, "baseline must be one of splitee"),
    "out": ({"out": 5}, "out must be a path"),
    "store": ({"out": "s3://a/b"}, "object stores are not supported"),
    "replicas": ({"num_replicas": 0}, "num_replicas must be an integer from 1"),
    "too many": (
        {"over": {"alpha": np.linspace(0, 1, 1001), "beta": np.linspace(1, 2, 1001)}},
        "at most 1,000,000 cells",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named_before_anything_runs(changes, message, monkeypatch):
    def never(*arguments):
        raise AssertionError("something ran")

    monkeypatch.setattr(parcels, "perform", never)
    given = {"trace": TRACE, "costs": jsplit.Costs.splitee, "over": OVER}
    given = given | {"policies": ["splitee"]} | changes
    with pytest.raises(JsplitError, match=message):
        jsplit.sweep(**given)


def test_a_sweep_goes_on_in_mid_stream(runs, tmp_path, monkeypatch):
    """Cut into many calls and stopped in the middle, it has the same bits."""
    monkeypatch.setattr(pace, "FIRST_SECONDS", 1e-9)
    monkeypatch.setattr(pace, "SECONDS", 1e-9)
    begun = []
    run_piece = shard._run_piece

    def counting(*arguments):
        begun.append(arguments[-1])
        if len(begun) == 4:
            raise KeyboardInterrupt
        return run_piece(*arguments)

    monkeypatch.setattr(shard, "_run_piece", counting)
    monkeypatch.setattr(replaying, "AT_ONCE", 1)

    def again():
        return jsplit.sweep(
            TRACE, POLICIES, jsplit.Costs.splitee, OVER, out=tmp_path, **HOW
        )

    with pytest.raises(KeyboardInterrupt):
        again()
    assert len([*tmp_path.glob(".*.midway")]) >= 1
    stopped_at = begun[3]
    for thread in threading.enumerate():  # which may have begun with the other policy
        if thread is not threading.current_thread() and "Pool" in thread.name:
            thread.join()
    before = len(begun)
    found = again()
    assert begun[before] == stopped_at
    assert found.data.equals(runs.data)
    assert [*tmp_path.glob(".*.midway")] == []
