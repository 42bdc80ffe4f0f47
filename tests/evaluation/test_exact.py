"""Exact values of single plans, against the replay they make unnecessary."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit import stats
from jsplit.types import JsplitError

pytestmark = pytest.mark.core

TRACE = random_trace(150, 4)
COSTS = jsplit.Costs.splitee(4, offload=0.3)
POLICIES = ["final_exit", "offload_all", "fixed_split(depth=2)", "confidence_cascade"]


@pytest.fixture(scope="module")
def exact():
    return jsplit.exact_values(TRACE, POLICIES, COSTS).data


@pytest.fixture(scope="module")
def resampled():
    return jsplit.evaluate(
        TRACE,
        POLICIES,
        COSTS,
        num_replicas=2048,
        stream="bootstrap",
        num_checkpoints=2,
    ).data


def test_values_and_intervals_are_those_of_resampled_test_sets(exact, resampled):
    table = jsplit.Result(resampled).summarize().data
    for metric in ("accuracy", "cost", "reward", "true_reward"):
        for policy in POLICIES:
            ours, theirs = (t.sel(policy=policy, metric=metric) for t in (exact, table))
            width = (ours.high - ours.low).item()
            centre = pytest.approx(theirs["mean"].item(), abs=0.06 * width + 1e-6)
            assert ours["mean"].item() == centre
            resampled_width = (theirs.high - theirs.low).item()
            assert width == pytest.approx(resampled_width, rel=0.1, abs=1e-6)


def test_accuracy_is_the_share_of_right_answers_with_the_limits_of_a_rate(exact):
    right = TRACE.correct[:, -1]
    row = exact.sel(policy="final_exit", metric="accuracy")
    expected = stats.sample_interval(right)
    np.testing.assert_allclose([row["mean"], row.low, row.high], expected)


def test_what_a_plan_always_does_is_no_estimate(exact):
    shipped = exact.sel(metric="offloaded")
    assert (shipped.sel(policy="final_exit").to_array() == 0).all()
    assert (shipped.sel(policy="offload_all").to_array() == 1).all()
    split = shipped.sel(policy="fixed_split(depth=2)")
    assert split.low < split["mean"] < split.high


def test_limits_stay_within_what_a_sample_can_cost(exact):
    for metric in ("accuracy", "offloaded"):
        rows = exact.sel(metric=metric)
        assert rows.low.min() >= 0
        assert rows.high.max() <= 1
    cost = exact.sel(metric="cost")
    always = cost.sel(policy="final_exit")
    assert always.low == always.high == always["mean"]
    split, dearest = cost.sel(policy="fixed_split(depth=2)"), COSTS.compute[1]
    assert split.low > COSTS.compute[1] * 0.9
    assert split.high < dearest + COSTS.head[:2].sum() + COSTS.offload[1]


def test_a_network_that_never_fails_here_may_fail_elsewhere():
    confidence = np.linspace(0.9, 0.99, 20)[:, None].repeat(4, 1)
    trace = jsplit.Trace.from_arrays(confidence, correct=np.ones((20, 4), bool))
    found = jsplit.exact_values(trace, ["final_exit"], COSTS).data
    row = found.sel(policy="final_exit", metric="accuracy")
    assert row.high == row["mean"] == 1 > row.low > 0.8
    for stream, width in (("bootstrap", True), ("shuffle", False)):
        result = jsplit.evaluate(
            trace, ["final_exit"], COSTS, num_replicas=32, stream=stream
        )
        row = result.summarize().data.sel(policy="final_exit", metric="accuracy")
        assert (row.low < row.high) == width
        assert row.high <= 1


def test_provenance_is_stored(exact):
    assert exact.attrs["trace_sha256"] == TRACE.sha256
    assert exact.attrs["covers"].startswith("test-set error of one fixed rule on 150")


def test_a_policy_that_learns_is_refused():
    with pytest.raises(JsplitError, match="single plan, got splitee with 4"):
        jsplit.exact_values(TRACE, ["splitee"], COSTS)


def test_the_input_itself_arrives_whole_where_activations_do_not():
    lossy = random_trace(150, 4, lossy=True)
    policies = ["final_exit", "offload_all(depth=0)", "offload_all"]
    values = (
        jsplit.exact_values(lossy, policies, COSTS).data["mean"].sel(metric="accuracy")
    )
    final, whole, split = values.values
    assert whole == final == lossy.correct[:, -1].mean()
    assert split == lossy.remote_correct[:, 0].mean() != final
