"""Sweeps that keep the value of every replica."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit.sweeps import merge, parcels, plan, rounds, tasks
from jsplit.types import JsplitError

TRACE = random_trace(60, 4, seed=1)
POLICIES = ["splitee", "random_exit", "final_exit", "oracle"]
OVER = {"offload": [0.1, 0.4], "alpha": [0.6, 0.8]}
HOW = {"num_replicas": 32, "seed": 3}
CELL = {"policy": "splitee", "offload": 0.4, "alpha": 0.8}
OTHER = {"policy": "splitee", "offload": 0.4, "alpha": 0.6}
FINAL = {"policy": "final_exit", "offload": 0.4}


def sweep(**changes):
    how = {"keep": "replicas", **HOW, **changes}
    return jsplit.sweep(TRACE, POLICIES, jsplit.Costs.splitee, OVER, **how)


def alone(**changes):
    """Both cells of splitee, and the final exit."""
    both = [jsplit.make_policy("splitee", alpha=alpha) for alpha in (0.8, 0.6)]
    costs = jsplit.Costs.splitee(4, offload=0.4)
    return jsplit.evaluate(TRACE, [*both, "final_exit"], costs, **HOW, **changes)


@pytest.fixture(scope="module")
def runs():
    return sweep()


def test_replicas_are_those_of_evaluate(runs, tmp_path):
    result = alone()
    runs.save(tmp_path / "runs.nc.gz")
    for one in (runs, jsplit.Runs.load(tmp_path / "runs.nc.gz")):
        for metric in ("cost", "reward", "true_reward", "pseudo_regret"):
            values = result.metric(metric)
            for row, cell in ((0, CELL), (1, OTHER), (2, FINAL)):
                found = one.replicas(metric=metric, **cell)
                np.testing.assert_array_equal(found, values[row], err_msg=metric)
    assert runs["replicas_cost"].dims == ("offload", "alpha", "policy", "replica")
    assert runs["replicas_cost"].dtype == np.float64
    mean = runs["replicas_reward"].mean("replica")
    np.testing.assert_allclose(mean, runs["mean"].sel(metric="reward"), rtol=1e-12)


@pytest.mark.parametrize("stream", ["shuffle", "bootstrap"])
def test_intervals_and_differences_are_those_of_a_result(stream, runs):
    runs = runs if stream == "shuffle" else sweep(stream=stream)
    result = alone(stream=stream)
    other = result.policies[1]
    table = result.summarize(baseline=other).data
    for metric in ("cost", "reward", "pseudo_regret"):
        expected = table.sel(policy=result.policies[0], metric=metric)
        found = runs.interval(metric=metric, **CELL)
        names = ("mean", "low", "high")
        wanted = [expected[name].item() for name in names]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        found = runs.difference(CELL, OTHER, metric)
        names = ("difference", "difference_low", "difference_high")
        wanted = [expected[name].item() for name in names]
        np.testing.assert_allclose(found[:3], wanted, rtol=1e-9, atol=1e-12)
        assert found.how == "paired"
    oracle = {**CELL, "policy": "oracle"}
    unknown = stream == "bootstrap"
    found = runs.interval(metric="pseudo_regret", **oracle)
    assert np.isnan(found.low) == unknown
    assert np.isnan(runs.difference(CELL, oracle, "pseudo_regret").low) == unknown


def test_streams_may_be_an_axis():
    enough = {**HOW, "num_replicas": 64}  # if all agree
    how = {"keep": "replicas", **enough}
    over = {"stream": ["fixed", "bootstrap"]}
    costs = jsplit.Costs.splitee(4)
    runs = jsplit.sweep(TRACE, ["splitee", "final_exit"], costs, over, **how)
    for stream in over["stream"]:
        result = jsplit.evaluate(TRACE, ["splitee"], costs, stream=stream, **enough)
        low = result.summarize().data["low"].sel(metric="cost").item()
        found = runs.interval(policy="splitee", stream=stream, metric="cost")
        assert found.low == pytest.approx(low, rel=1e-12)


def test_without_them_the_message_says_how_to_keep_them(runs):
    bare = sweep(keep=None)
    assert "replica" not in bare.data.dims
    for call in (bare.replicas, bare.interval):
        with pytest.raises(JsplitError, match="sweep with keep='replicas'"):
            call(**CELL)
    assert bare.difference(CELL, OTHER).how == "bound"
    common = [name for name in runs.data if not str(name).startswith("replicas_")]
    assert runs.data[common].equals(bare.data)


def test_shards_and_a_stopped_sweep_keep_them(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "MAX_PLACES", 1)
    folders = [tmp_path / "a", tmp_path / "b"]
    lone = [sweep(out=x, shard=(i, 2)) for i, x in enumerate(folders, 1)]
    with pytest.raises(JsplitError, match=r"that was run, got offload=0.4, alpha=0.8"):
        lone[0].replicas(**CELL)
    np.testing.assert_array_equal(lone[1].replicas(**CELL), runs.replicas(**CELL))
    merged = merge(folders, tmp_path / "all").runs
    assert merged is not None
    assert merged.data.equals(runs.data)
    monkeypatch.setattr(parcels, "perform", None)
    assert sweep(out=tmp_path / "all" / "parts").data.equals(runs.data)
    with pytest.raises(JsplitError, match="keep was 'replicas', is None"):
        sweep(keep=None, out=tmp_path / "all" / "parts")


@pytest.mark.parametrize(
    "rule", [{"until": {"cost": 0.0025}, "max_replicas": 128}, {"race": "cost"}]
)
def test_rounds_and_races_keep_what_ran(rule, monkeypatch):
    monkeypatch.setattr(rounds, "MIN_REPLICAS", 32)
    runs = sweep(num_replicas=128, **rule)
    every = sweep(num_replicas=128)
    numbers = runs["replicas"].sel(metric="cost")
    assert {32, 128} <= {*numbers.values.ravel()}
    for metric in ("cost", "accuracy"):
        name = f"replicas_{metric}"
        ran = np.arange(128) < numbers.values[..., np.newaxis]
        expected = np.where(ran, every[name].values, np.nan)
        np.testing.assert_array_equal(runs[name].values, expected)
    best = runs.difference(CELL, FINAL, "cost")
    assert best.how == "paired"
    assert "replica" not in sweep(num_replicas=64, keep=None, **rule).data.dims


def test_a_policy_of_several_baselines_is_stored_once(tmp_path):
    costs, over = jsplit.Costs.splitee(4), {"alpha": [0.6, 0.7, 0.8]}
    how = {"baseline": "splitee", "keep": "replicas", "out": tmp_path, **HOW}
    runs = jsplit.sweep(TRACE, ["splitee", "final_exit"], costs, over, **how)
    (path,) = tmp_path.glob("*.nc.gz")
    chunk = jsplit.results.chunk.Chunk.load(path)
    assert chunk.data.sizes["row"] == 6
    assert chunk["replicas_cost"].shape == (1, 4, 32)
    of_final = runs["replicas_cost"].sel(policy="final_exit")
    assert (of_final == of_final.isel(alpha=0)).all()


def test_more_than_a_file_holds_is_refused(monkeypatch):
    monkeypatch.setattr(plan, "MAX_KEPT", 511)
    monkeypatch.setattr(parcels, "perform", None)
    with pytest.raises(JsplitError, match="at most 511 values of a metric"):
        sweep()
    with pytest.raises(JsplitError, match="keep must be one of replicas"):
        sweep(keep="all")
