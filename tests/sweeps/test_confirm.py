"""The best cells again, on fresh replicas."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit.types import JsplitError

TRACE = random_trace(60, 4, seed=1)
POLICIES = ["random_exit", "splitee", "final_exit", "oracle"]


def sweep(**how):
    return jsplit.sweep(
        TRACE,
        POLICIES,
        jsplit.Costs.splitee,
        {"offload": [0.1, 0.4], "alpha": [0.6, 0.7, 0.8]},
        seed=3,
        **{"num_replicas": 16, **how},
    )


@pytest.mark.parametrize("stream", ["shuffle", "bootstrap"])
def test_the_best_are_run_again_on_fresh_replicas(stream):
    runs = sweep(confirm={"cost": 3}, stream=stream)
    every = sweep(stream=stream)
    fresh = sweep(first_replica=16, stream=stream)
    table = runs.confirmed("cost")
    assert len(table) == 3
    means = every["mean"].sel(metric="cost", policy=["splitee", "random_exit"])
    splitee = means.sel(policy="splitee").values.ravel()
    random = means.sel(policy="random_exit").isel(alpha=0).values
    best = np.sort([*splitee, *random] if (random != splitee[0]).all() else splitee)[:3]
    np.testing.assert_allclose(table["first"], best, rtol=1e-12)
    for row in table.itertuples():
        alpha = 0.6 if np.isnan(row.alpha) else row.alpha
        at = {"offload": row.offload, "alpha": alpha, "policy": row.policy}
        expected = fresh.summarize().data.sel(metric="cost", **at)
        assert row.fresh == expected["mean"].item()
        np.testing.assert_allclose(row.low, expected["low"].item(), rtol=1e-12)
        assert row.fresh_difference == expected["difference"].item()
        assert row.luck == row.first_difference - row.fresh_difference
    np.testing.assert_array_equal(runs["mean"], every["mean"])
    with pytest.raises(JsplitError, match="must have been told which cells"):
        every.confirmed()


def test_luck_is_removed():
    """The best of cells with few replicas looks better than it is."""
    luck = []
    for seed in range(30):
        runs = jsplit.sweep(
            TRACE,
            ["splitee", "final_exit"],
            jsplit.Costs.splitee(4, offload=0.2),
            {"beta": np.geomspace(0.3, 5, 12)},
            num_replicas=4,
            seed=seed,
            confirm={"reward": 1},
        )
        luck.append(runs.confirmed("reward")["luck"].item())
    assert np.mean(luck) > 2 * np.std(luck) / np.sqrt(len(luck))


@pytest.mark.parametrize(
    ("confirm", "message"),
    [
        (3, "confirm must be a number of cells by the metric"),
        ({"speed": 3}, "confirm must be one of"),
        ({"cost": 0}, "confirm of cost must be an integer from 1"),
    ],
)
def test_bad_wishes_are_refused(confirm, message):
    with pytest.raises(JsplitError, match=message):
        sweep(confirm=confirm)
