"""Recovery after a change: by hand, and in a run whose window says when."""

import numpy as np
import pytest
import xarray
from conftest import whole_result

import jsplit
from jsplit.environment import drift
from jsplit.types import JsplitError

pytestmark = pytest.mark.usefixtures("quick_compile")

STEPS = np.array([10, 20, 30, 40, 50])


def counted(played):
    """A result that holds nothing but plays of the best plan."""
    played = np.asarray(played, np.int32)  # [replica, checkpoint]
    dims = ("policy", "checkpoint", "replica")
    return xarray.Dataset(
        {"best_played_curve": (dims, played.T[None])},
        {"policy": ["learner"], "checkpoint": STEPS},
        {"stream": "shuffle"},
    )


def test_times_and_shares_by_hand():
    # Plays of the best plan per stretch of ten: the change is at 20.
    per_stretch = [[9, 9, 2, 6, 9], [9, 9, 5, 0, 0], [9, 9, 0, 0, 4], [9, 9, 0, 0, 5]]
    found = jsplit.recovery(
        whole_result(counted(np.cumsum(per_stretch, 1))), at=20
    ).data.sel(policy="learner")
    # Recovered 20, 10, never and 30 steps after the change.
    assert found.recovered == 0.75
    assert found.steps_5 == 10
    assert found.steps_50 == 20
    assert np.isinf(found.steps_95)
    assert found.final_best == 0.5
    low, high = found.recovered_low, found.recovered_high
    assert 0 < low < 0.75 < high < 1


def test_share_and_until_bound_what_counts():
    result = counted(np.cumsum([[9, 9, 2, 6, 9]], 1))
    assert whole_result(result).recovery(at=20, share=0.9).data["steps_50"] == 30
    assert np.isinf(
        whole_result(result).recovery(at=20, share=0.9, until=40).data["steps_50"]
    )
    assert whole_result(result).recovery(at=0).data["steps_50"] == 10


def test_resampled_test_sets_are_refused():
    result = counted([[0] * 5]).assign_attrs(stream="bootstrap")
    with pytest.raises(JsplitError, match="shuffle or fixed"):
        whole_result(result).recovery(at=20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": 45}, "at least 2 checkpoints from 45 to 50"),
        ({"at": 50}, "at must be an integer from 0 to 49"),
        ({"at": 20, "until": 20}, "until must be an integer from 21 to 50"),
        ({"at": 20, "share": 1.5}, "share must be a number from 1e-09 to 1"),
        ({"at": 20, "share": 0}, "share must be a number from 1e-09 to 1"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(JsplitError, match=message):
        whole_result(counted([[0] * 5])).recovery(**options)


def test_a_window_recovers_within_its_length_and_a_mean_does_not():
    """Split 1 pays off until shipping turns dear; then exit 3 is best."""
    rng = np.random.default_rng(0)
    confidence = np.stack([rng.uniform(0, 0.6, 400), *rng.uniform(0.9, 1, (2, 400))], 1)
    trace = jsplit.Trace.from_arrays(confidence, correct=confidence > 0.5)
    prices = {"cheap": 0.0, "dear": 0.9}
    scenario = jsplit.Scenario(
        {
            name: (trace, jsplit.Costs([0.0, 0.3, 0.4], offload=[price, 2, 2]))
            for name, price in prices.items()
        },
        drift.abrupt(6_000),
    )
    result = jsplit.evaluate(
        scenario,
        ["sliding_window_ucb(window=400, xi=0.1)", "ucb1", "contextual_ucb"],
        num_replicas=32,
        horizon=7_000,
        checkpoints=range(50, 7_001, 50),
        keep_curves=True,
    ).data
    found = whole_result(result).recovery(at=6_000).data
    window, mean, told = found["steps_95"].values
    assert window <= 400
    assert told <= 400
    assert mean > 400
    assert (found.recovered.values[[0, 2]] == 1).all()
    assert (found.final_best.values[[0, 2]] == 1).all()


def test_published_forgetting_recovers_in_the_time_of_its_memory_and_ucb1_does_not():
    """The best arm falls below the second best, which stays as it was."""
    rng = np.random.default_rng(0)
    means = {"before": (0.2, 0.6, 0.9), "after": (0.2, 0.6, 0.1)}
    conditions = {}
    for name, of in means.items():
        right = (rng.random((7_000, 3)) < of).astype(float)
        trace = jsplit.Trace.from_arrays(right, correct=right)
        conditions[name] = trace, jsplit.Costs([0.0] * 3)
    scenario = jsplit.Scenario(conditions, drift.abrupt(6_000))
    result = jsplit.evaluate(
        scenario,
        [
            "sliding_window_ucb(window=400, alpha=0)",
            "discounted_ucb(gamma=0.9975, alpha=0)",
            "ucb1(alpha=0)",
        ],
        num_replicas=32,
        horizon=7_000,
        checkpoints=range(50, 7_001, 50),
        keep_curves=True,
    ).data
    window, discounted, mean = (
        whole_result(result).recovery(at=6_000).data["steps_95"].values
    )
    assert window <= 400
    assert discounted <= 400
    assert mean > 800
