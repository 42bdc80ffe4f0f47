"""What is claimed of a sweep: the best cell, the front, sensitivity, differences."""

import numpy as np
import pandas
import pytest
from made_sweeps import ALPHA, REPLICAS, made_runs, made_values

import jsplit
from jsplit import stats
from jsplit.types import JsplitError

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def runs():
    return made_runs(made_values())


def test_best_cells_count_what_they_are_the_best_of(runs):
    best = runs.best("reward").set_index("policy")
    assert best["num_cells"].tolist() == [6, 3, 3, 3]
    assert best.loc["learner", ["offload", "alpha"]].tolist() == [0.3, 0.8]
    assert best["alpha"].isna().tolist() == [False, True, True, True]
    # In one environment, the difference to the baseline tells the two alphas apart.
    assert best["num_best"].tolist() == [1, 1, 1, 1]
    assert (runs.best("cost")["offload"] == 0.3).all()  # signs are turned round
    at = {"policy": "learner", "metric": "reward", "offload": 0.3, "alpha": 0.8}
    assert best.loc["learner", "low"] < runs.summarize().data.sel(at)["low"].item()


def test_the_set_holds_what_cannot_be_told(runs):
    by = runs.best("reward", ["offload"])
    assert len(by) == 12
    assert by["offload"].tolist() == [0.1] * 4 + [0.2] * 4 + [0.3] * 4
    assert by["num_cells"].tolist() == [2, 1, 1, 1] * 3
    values = made_values()
    values[0, 0, 0] += 2.7  # as good as offload = 0.3, up to its noise
    table = made_runs(values)
    found = table.best_set("reward")
    learner = found[found["policy"] == "learner"]
    pairs = list(zip(learner["offload"], learner["alpha"], strict=True))
    assert pairs == [(0.1, 0.6), (0.3, 0.8)]
    assert table.best("reward").set_index("policy").loc["learner", "num_best"] == 2


def test_the_best_of_all_policies_is_no_oracle(runs):
    best = runs.best("reward", ["alpha"], per_policy=False)
    assert best["policy"].tolist() == ["learner", "learner"]
    assert best["alpha"].tolist() == ALPHA
    assert best["num_cells"].tolist() == [9, 9]  # those without alpha are in both


def test_front_leaves_out_the_oracle_and_what_is_dominated(runs):
    front = runs.front()
    assert len(front) == 6 + 3 + 3
    # Cost is minus accuracy here: one setting has the best of both.
    best = front[front["on_front"]]
    assert best[["offload", "alpha", "policy"]].values.tolist() == [
        [0.3, 0.8, "learner"]
    ]
    assert not best["dominated"].any()
    # The other alpha, by the differences to the baseline of the same environment.
    assert front["dominated"].sum() == len(front) - 1
    sliced = runs.front(by=["offload"])
    assert sliced.groupby("offload")["on_front"].sum().tolist() == [1, 1, 1]
    assert set(front.columns) >= {"cost_low", "accuracy_high"}


def test_sensitivity_is_the_analysis_of_variance_by_hand(runs):
    table = runs.sensitivity("reward").set_index(["policy", "axis"])
    assert len(table) == 2 + 3
    mean = runs["mean"].sel(policy="learner", metric="reward").values
    total, whole = 0.0, mean.mean()
    by_offload, by_alpha = 0.0, 0.0
    for i in range(3):
        for j in range(2):
            total += (mean[i, j] - whole) ** 2
            by_offload += (mean[i].mean() - whole) ** 2
            by_alpha += (mean[:, j].mean() - whole) ** 2
    of_offload = table.loc[("learner", "offload")]
    assert of_offload["share"] == pytest.approx(by_offload / total)
    assert table.loc[("learner", "alpha"), "share"] == pytest.approx(by_alpha / total)
    assert of_offload["range"] == pytest.approx(mean[2].mean() - mean[0].mean())
    assert (of_offload["best"], of_offload["worst"]) == (0.3, 0.1)
    assert runs.sensitivity("cost")["best"].tolist()[0] == 0.3
    error = runs["error"].sel(policy="learner", metric="reward").values
    assert of_offload["noise"] == pytest.approx((error**2).sum() / total)


def test_sensitivity_to_nothing_is_unknown():
    found = made_runs(np.ones((3, 2, 4, REPLICAS))).sensitivity("reward")
    assert found["share"].isna().all()
    assert (found["range"] == 0).all()


def cell(policy, offload, alpha=0.6):
    return {"policy": policy, "offload": offload, "alpha": alpha}


def test_differences_are_paired_with_the_baseline_and_bounds_otherwise(runs):
    values = made_values()
    found = runs.difference(cell("learner", 0.2, 0.8), cell("final_exit", 0.2))
    paired = stats.paired_difference(values[1, 1, 0], values[1, 0, 2])
    assert found.how == "paired"
    # 64 replicas: a t interval here, BCa there.
    np.testing.assert_allclose(found[:3], paired[:3], atol=2e-4)
    turned = runs.difference(cell("final_exit", 0.2), cell("learner", 0.2, 0.8))
    np.testing.assert_allclose(turned[:3], [-found.mean, -found.high, -found.low])
    bound = runs.difference(cell("learner", 0.2), cell("learner", 0.3))
    paired = stats.paired_difference(values[1, 0, 0], values[2, 0, 0])
    assert bound.how == "bound"
    assert bound.mean == pytest.approx(paired.mean)
    assert bound.low < paired.low
    assert paired.high < bound.high
    same = runs.difference(cell("rule", 0.2), {"policy": "rule", "offload": 0.2})
    assert same == (0, 0, 0, "paired")


def test_in_one_environment_the_differences_bound_more_tightly(runs):
    values = made_values()
    bound = runs.difference(cell("learner", 0.2), cell("rule", 0.2))
    paired = stats.paired_difference(values[1, 0, 0], values[1, 0, 1])
    assert bound.how == "bound"
    assert bound.low < paired.low
    assert bound.high - bound.low < 4 * (paired.high - paired.low)


def test_wide_frames_have_a_row_per_setting(runs):
    wide = runs.summarize().to_wide()
    assert len(wide) == 6 + 3 * 3
    assert wide.columns[:3].tolist() == ["offload", "alpha", "policy"]
    row = wide[(wide["policy"] == "learner") & (wide["alpha"] == 0.8)].iloc[1]
    at = {"policy": "learner", "alpha": 0.8, "offload": 0.2, "metric": "cost"}
    table = runs.summarize().data.sel(at)
    assert row["cost"] == table["mean"]
    assert row["cost_difference_low"] == table["difference_low"]
    long = runs.summarize().to_dataframe()
    assert long.index.names == ["offload", "alpha", "policy", "metric"]


def test_frames_come_back_from_csv_and_parquet(runs, tmp_path):
    summary = runs.summarize()
    jsplit.report.to_parquet(summary, tmp_path / "long.parquet")
    long = pandas.read_parquet(tmp_path / "long.parquet")
    pandas.testing.assert_frame_equal(long, summary.to_dataframe().reset_index())
    frames = (summary.to_wide(), runs.front(), runs.sensitivity(), runs.best())
    for number, frame in enumerate(frames):
        jsplit.report.to_parquet(frame, tmp_path / f"{number}.parquet")
        again = pandas.read_parquet(tmp_path / f"{number}.parquet")
        pandas.testing.assert_frame_equal(again, frame, check_dtype=False)
        jsplit.report.to_csv(frame, tmp_path / f"{number}.csv")
        again = pandas.read_csv(tmp_path / f"{number}.csv")
        pandas.testing.assert_frame_equal(again, frame, check_dtype=False, rtol=1e-15)


BAD = {
    "metric": (lambda runs: runs.best("speed"), "metric must be one of"),
    "by": (lambda runs: runs.best(by=["ofload"]), "did you mean 'offload'"),
    "by text": (lambda runs: runs.best(by="offload"), "by must be a list"),
    "level": (lambda runs: runs.best_set(level=2), "level must be a number from 0"),
    "cost": (lambda runs: runs.front(cost="accuracy"), "cost must be one of"),
    "value": (lambda runs: runs.front(value="cost"), "value must be one of"),
    "no cell": (
        lambda runs: runs.difference("learner", cell("rule", 0.1)),
        "cell must be a dict of a policy",
    ),
    "no value": (
        lambda runs: runs.difference(cell("rule", 0.1), {"policy": "rule"}),
        "other must have a value of axis offload",
    ),
    "other value": (
        lambda runs: runs.difference(cell("rule", 0.1), cell("rule", 0.15)),
        r"other must name one value of axis offload, \[0.1, 0.2, 0.3\], got",
    ),
    "other axis": (
        lambda runs: runs.difference({"policy": "rule", "ofload": 1}, {}),
        "did you mean 'offload'",
    ),
    "policy": (
        lambda runs: runs.difference(cell("ruel", 0.1), cell("rule", 0.1)),
        "policy of cell must be one of",
    ),
}


@pytest.mark.parametrize(("ask", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(runs, ask, message):
    with pytest.raises(JsplitError, match=message):
        ask(runs)
