"""What a result carries, its file, and the summary, against hand computations."""

import dataclasses
import json

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import stats, version
from jsplit.results import metrics
from jsplit.types import Protocol

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("quick_compile")]

N, L, R = 120, 4, 128
POLICIES = ["splitee", "final_exit", "fixed_split(depth=2)", "random_exit", "oracle"]
RESAMPLED = ["splitee", "final_exit", "fixed_split(depth=2)", "offload_all"]
COSTS = jsplit.Costs(
    [1.0, 2.0, 3.0, 5.0], head=0.1, offload=2.0, mu=0.05, unit="millijoule"
)


@pytest.fixture(scope="module")
def trace():
    return random_trace(N, L, dataset="made up", model="none")


def evaluated(trace, stream, num_replicas=R, policies=POLICIES, **options):
    return jsplit.evaluate(
        trace,
        policies,
        COSTS,
        num_replicas=num_replicas,
        block_size=16,  # so that R and 16 R replicas share a program
        stream=stream,
        seed=7,
        **options,
    ).data


@pytest.fixture(scope="module")
def shuffled(trace):
    return evaluated(trace, "shuffle")


@pytest.fixture(scope="module")
def bootstrapped(trace):
    return evaluated(trace, "bootstrap", policies=RESAMPLED)


@pytest.fixture(scope="module")
def table(shuffled):
    return jsplit.Result(shuffled).summarize().data


def test_dims_coords_dtypes_and_units(shuffled):
    per_run = ("policy", "replica")
    found = {
        name: (variable.dims, variable.dtype, variable.attrs["units"])
        for name, variable in shuffled.data_vars.items()
        if "replica" in variable.dims
    }
    assert found == {
        "reward": (per_run, np.float64, "confidence"),
        "cost": (per_run, np.float64, "millijoule"),
        "accuracy": (per_run, np.float64, "fraction"),
        "offloaded": (per_run, np.float64, "fraction"),
        "pulls": ((*per_run, "plan"), np.int32, "steps"),
        "pseudo_regret": (per_run, np.float64, "confidence"),
        "realised_regret": (per_run, np.float64, "confidence"),
        "best_played": (per_run, np.int32, "steps"),
    }
    assert all(shuffled[name].attrs["long_name"] for name in found)
    checkpoints = shuffled.checkpoint.values
    assert checkpoints.dtype == np.int32
    assert (np.diff(checkpoints) > 0).all()
    assert checkpoints[[0, -1]].tolist() == [1, N]
    assert dict(shuffled.sizes) == {
        "policy": len(POLICIES),
        "replica": R,
        "plan": L,
        "checkpoint": checkpoints.size,
        "checkpoint_too": checkpoints.size,
    }
    assert shuffled.policy.values.tolist() == POLICIES
    assert (shuffled.pulls.sum("plan") == N).all()
    assert (shuffled.pulls.sel(policy="final_exit", plan=slice(1, None)) == 0).all()


def test_arms_and_order_are_kept_when_asked_for(trace):
    result = evaluated(trace, "shuffle", 5, ["splitee"], record_arms=True)
    assert result.order.dims == ("replica", "step")
    assert result.arm.dims == ("policy", "replica", "step")
    assert result.order.shape == (5, N)
    assert (np.sort(result.order, axis=1) == np.arange(N)).all()
    counts = [np.bincount(row, minlength=L) for row in result.arm.values[0]]
    np.testing.assert_array_equal(counts, result.pulls[0])


def test_attributes_hold_the_provenance(shuffled, trace):
    attrs = shuffled.attrs
    assert attrs["stream"] == "shuffle"
    assert attrs["covers"] == stats.covers("shuffle", N, N)
    assert attrs["protocol"] == "paper"
    assert json.loads(attrs["switches"]) == Protocol().switches()
    assert attrs["trace_sha256"] == trace.sha256
    numbers = ("num_replicas", "horizon", "num_samples", "num_exits", "seed")
    assert [attrs[name] for name in numbers] == [R, N, N, L, 7]
    assert (attrs["dataset"], attrs["model"]) == ("made up", "none")
    assert json.loads(attrs["costs"]) == {
        "compute": [1, 2, 3, 5],
        "head": [0.1] * 4,
        "offload": [2] * 4,
        "input": 2.0,
        "mu": 0.05,
        "unit": "millijoule",
    }
    assert jsplit.Costs(**json.loads(attrs["costs"])).numbers == COSTS.numbers
    assert attrs["cost_unit"] == "millijoule"
    assert attrs["privileged"] == '["oracle"]'
    assert attrs["precision"] == "float32"
    assert attrs["jsplit_version"] == jsplit.__version__
    provenance = version.provenance()
    assert provenance.keys() <= attrs.keys()
    for name in provenance.keys() - {"created"}:
        assert attrs[name] == provenance[name]


@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        ("released", "released"),
        (Protocol(), "paper"),
        (Protocol(clock="steps"), "custom"),
    ],
)
def test_protocol_is_named_and_all_its_switches_stored(trace, protocol, name):
    result = evaluated(trace, "fixed", 1, ["final_exit"], protocol=protocol)
    assert result.attrs["protocol"] == name
    switches = json.loads(result.attrs["switches"])
    assert switches == Protocol.named(protocol).switches()
    assert Protocol(**switches) == Protocol.named(protocol)


def test_round_trip_through_a_file(shuffled, tmp_path):
    path = tmp_path / "result.nc.gz"
    jsplit.Result(shuffled).save(path)
    jsplit.Result(shuffled).save(path)  # replaces
    again = jsplit.load_result(path).data
    assert again.equals(shuffled)
    assert again.attrs == shuffled.attrs
    for name in shuffled.variables:
        if name != "policy":  # text, of whatever type xarray reads it as
            assert again[name].dtype == shuffled[name].dtype
        assert again[name].attrs == shuffled[name].attrs
    assert [p.name for p in tmp_path.iterdir()] == ["result.nc.gz"]
    assert (
        jsplit.Result(again)
        .summarize()
        .data.equals(jsplit.Result(shuffled).summarize().data)
    )


def metric_values(result, metric):
    if metric == "true_reward":
        return (result.accuracy - COSTS.mu * result.cost).values
    return result[metric].values


def test_table_has_every_policy_and_metric(table):
    assert table.sizes == {"policy": len(POLICIES), "metric": len(metrics.METRICS)}
    assert table.attrs["baseline"] == "final_exit"
    assert table.attrs["level"] == 0.95
    assert table.attrs["stream"] == "shuffle"


@pytest.mark.parametrize(
    "metric", [name for name in metrics.METRICS if name != "cost_change"]
)
def test_means_differences_and_correlations_by_hand(shuffled, metric):
    table = jsplit.Result(shuffled).summarize("random_exit").data.sel(metric=metric)
    values = metric_values(shuffled, metric)
    np.testing.assert_allclose(table["mean"], values.mean(1), rtol=1e-12)
    base = values[POLICIES.index("random_exit")]
    scale = 1e-9 * np.abs(values).max()
    np.testing.assert_allclose(
        table["difference"], (values - base).mean(1), rtol=1e-9, atol=scale
    )
    expected = np.corrcoef(values[0], base)[0, 1]
    if np.ptp(values[0]) > scale and np.ptp(base) > scale:
        assert table.correlation.sel(policy="splitee").item() == pytest.approx(expected)
    else:
        assert np.isnan(table.correlation.sel(policy="splitee"))


def test_cost_change_is_the_ratio_of_means(shuffled, table):
    cost = shuffled.cost.mean("replica")
    expected = 100 * (cost / cost.sel(policy="final_exit") - 1)
    np.testing.assert_allclose(
        table["mean"].sel(metric="cost_change"), expected, atol=1e-9
    )


def test_row_of_the_baseline_differs_from_itself_by_nothing(table):
    row = table.sel(policy="final_exit").drop_sel(metric="cost_change")
    for name in ("difference", "difference_low", "difference_high"):
        assert (row[name] == 0).all()
    assert np.isnan(row.p_value).all()
    change = table.sel(policy="final_exit", metric="cost_change")
    for name in ("mean", "low", "high"):
        assert abs(change[name]) < 1e-12


def test_p_values_are_adjusted_over_the_other_policies(bootstrapped):
    table = jsplit.Result(bootstrapped).summarize().data
    base = RESAMPLED.index("final_exit")
    checked = 0
    for metric in ("accuracy", "cost", "reward"):
        values = metric_values(bootstrapped, metric)
        of = metrics.sample_range(bootstrapped, metric)
        raw = stats.paired_difference(
            values,
            np.broadcast_to(values[base], values.shape),
            streams=stats.Streams("bootstrap", num_orders=4),
            possible=of.less(of.low[base], of.high[base]),
        ).p_value
        raw[base] = np.nan
        found = table.p_value.sel(metric=metric).values
        np.testing.assert_array_equal(found, stats.holm(raw))
        others = np.delete(np.arange(len(RESAMPLED)), base)
        assert (found[others] >= raw[others]).all()
        smallest = others[raw[others].argmin()]
        assert found[smallest] == pytest.approx(min(1, len(others) * raw[smallest]))
        checked += (found[others] > raw[others]).any()
    assert checked


def widths(result, metric="accuracy", policy="splitee"):
    row = jsplit.Result(result).summarize(policy).data.sel(metric=metric, policy=policy)
    return (row.high - row.low).item()


def test_more_replicas_narrow_shuffle_intervals_but_not_bootstrap_ones(
    trace, shuffled, bootstrapped
):
    """16 times the replicas: a quarter of the width, or the same."""
    many = evaluated(trace, "shuffle", 16 * R, ["splitee"])
    assert widths(shuffled) / widths(many) == pytest.approx(4, rel=0.25)
    many = evaluated(trace, "bootstrap", 16 * R, ["splitee"])
    assert widths(bootstrapped) / widths(many) == pytest.approx(1, rel=0.25)


def test_single_plans_have_no_spread_when_the_test_set_is_only_reordered(
    table, bootstrapped
):
    for policy in ("final_exit", "fixed_split(depth=2)"):
        row = table.sel(policy=policy)
        assert (row.high == row.low).all()
        assert widths(bootstrapped, policy=policy) > 0
    accuracy = table["mean"].sel(policy="final_exit", metric="accuracy")
    expected = random_trace(N, L).accuracy[-1]
    assert accuracy.item() == pytest.approx(expected, rel=1e-12)


def test_level_widens_intervals(shuffled):
    narrow, wide = (
        jsplit.Result(shuffled).summarize(level=level).data for level in (0.5, 0.99)
    )
    row = {"policy": "splitee", "metric": "reward"}
    assert wide.low.sel(row) < narrow.low.sel(row) < narrow["mean"].sel(row)
    assert wide.attrs["level"] == 0.99


def test_privileged_policies_may_have_several_numbers(trace):
    """Whose label then holds a comma."""
    numbers = {"depth": 2, "eta": 0.1}
    told = dataclasses.replace(
        jsplit.make_policy("final_exit"), numbers=numbers, privileged=True
    )
    found = evaluated(trace, "shuffle", policies=[told, "final_exit"])
    assert metrics.privileged_policies(found) == {"final_exit(depth=2, eta=0.1)"}
    table = jsplit.Result(found).summarize().data
    best = table.best_set.sel(metric="reward").values
    np.testing.assert_array_equal(best, [np.nan, 1])


def test_privileged_policies_alone_have_no_best_set(trace):
    result = jsplit.evaluate(trace, ["oracle"], COSTS, num_replicas=2, block_size=16)
    table = result.summarize("oracle")
    assert np.isnan(table["best_set"]).all()
    assert np.isfinite(table["mean"].sel(metric="accuracy")).all()
    assert "**oracle" in jsplit.report.to_markdown(table)
