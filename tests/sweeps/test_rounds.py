"""Cells that stop early: sharp enough, or surely not the best."""

import numpy as np
import pytest
from conftest import random_trace

import jsplit
from jsplit.stats.base import Streams
from jsplit.stats.pooling import pooled
from jsplit.stats.student import estimate
from jsplit.sweeps import parcels, rounds
from jsplit.sweeps.racing import surely_worse
from jsplit.types import JsplitError

TRACE = random_trace(60, 4, seed=1)
POLICIES = ["splitee", "random_exit", "final_exit", "oracle"]
OVER = {"offload": [0.1, 0.4], "alpha": [0.6, 0.8]}


@pytest.fixture
def small_rounds(monkeypatch):
    monkeypatch.setattr(rounds, "MIN_REPLICAS", 32)


def sweep(**how):
    return jsplit.sweep(TRACE, POLICIES, jsplit.Costs.splitee, OVER, seed=3, **how)


def test_lots_of_replicas_are_pooled_as_all_at_once():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 70)) + 5
    values[1] = 2.0
    lots = [values[:, :32], values[:, 32:]]
    found = [estimate(x, np.ptp(x, axis=-1) == 0, Streams()) for x in lots]
    both = pooled(found[0], np.array([32]), found[1], np.array([38]))
    expected = estimate(values, np.array([False, True, False]), Streams())
    for ours, theirs in zip(both, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    alone = pooled(found[0], np.array([0]), found[1], np.array([38]))
    for ours, theirs in zip(alone, found[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_cells_stop_when_they_are_sharp(small_rounds, tmp_path, monkeypatch):
    how = {"until": {"cost": 0.0025}, "max_replicas": 256, "out": tmp_path / "a"}
    runs = sweep(**how)
    replicas = runs["replicas"].sel(metric="cost")
    table = runs.summarize().data.sel(metric="cost")
    half = (table["high"] - table["low"]) / 2
    assert ((half <= 0.0025) | (replicas == 256)).all()
    assert {32, 256} <= {*replicas.values.ravel()}
    assert (replicas.sel(policy="final_exit") == 32).all()
    assert runs.attrs["replicas_saved"] > 0
    for number in (64, 128, 256):
        every = sweep(num_replicas=number)
        here = (runs["replicas"] == number).values
        for name in ("mean", "error", "difference_mean", "difference_error"):
            np.testing.assert_allclose(
                runs[name].values[here], every[name].values[here], rtol=1e-6, atol=1e-12
            )
    monkeypatch.setattr(parcels, "perform", None)
    assert sweep(**how).data.equals(runs.data)


def test_differences_may_be_what_is_sharp(small_rounds):
    runs = sweep(until={"difference_cost": 1e-9}, max_replicas=300, baseline="splitee")
    assert (runs["replicas"].sel(policy="splitee") == 32).all()
    assert (runs["replicas"].sel(policy="random_exit") == 300).all()


def test_a_race_ends_early_for_those_that_are_not_the_best(small_rounds):
    runs = sweep(race="cost", num_replicas=128)
    every = sweep(num_replicas=128)
    replicas = runs["replicas"].sel(metric="cost")
    best = every["mean"].sel(metric="cost").drop_sel(policy="oracle").argmin(...)
    assert replicas.drop_sel(policy="oracle").isel(best).item() == 128
    assert (replicas == 32).any()
    assert (replicas.sel(policy="oracle") == 128).all()
    saved = runs.attrs["replicas_saved"]
    assert 0 < saved < runs.attrs["replicas_at_most"]
    full = (runs["replicas"] == 128).values
    np.testing.assert_allclose(
        runs["mean"].values[full], every["mean"].values[full], rtol=1e-12
    )
    slices = sweep(race="cost", num_replicas=128, by=["offload"])
    there = slices["replicas"].sel(metric="cost").drop_sel(policy="oracle")
    assert (there.max(("alpha", "policy")) == 128).all()


def race(rng, gaps, most=2048, noise=0.3, skewed=False):
    """Races runners whose true means are known; returns who stays and the replicas."""
    sizes = [*rounds._rounds(most)]
    order = rng.normal(size=most)
    own = rng.exponential(size=(len(gaps), most)) - 1
    if not skewed:
        own = rng.normal(size=(len(gaps), most))
    values = order + noise * own - np.asarray(gaps)[:, np.newaxis]
    alive = np.arange(len(gaps))
    done = used = 0
    for size in sizes:
        done += size
        used += size * len(alive)
        out = surely_worse(
            values[alive, :done],
            num_started=len(gaps),
            num_looks=len(sizes) - 1,
            higher_is_better=True,
        )
        alive = alive[~out]
    return 0 in alive, used


@pytest.mark.parametrize("skewed", [False, True])
def test_the_best_is_lost_no_more_often_than_stated(skewed):
    rng = np.random.default_rng(1)
    close = [0.0, *[1e-4] * 9]  # next to no gap: most wrong rejections there can be
    kept = [race(rng, close, skewed=skewed)[0] for _ in range(200)]
    assert np.mean(kept) >= 0.95
    wide = [race(rng, np.arange(10) / 20, skewed=skewed) for _ in range(40)]
    assert all(best for best, _ in wide)
    assert np.mean([used for _, used in wide]) < 0.35 * 10 * 2048


BAD = {
    "both": ({"until": {"cost": 1}, "race": "cost"}, "two rules"),
    "by": ({"by": ["offload"]}, "by belongs to race"),
    "by of policies": ({"race": "cost", "by": ["alpha"]}, "by must be one of offload"),
    "metric": ({"race": "speed"}, "race must be one of"),
    "until": ({"until": 5}, "until must be a dict"),
    "until what": ({"until": {"costs": 1}}, "did you mean 'cost'"),
    "width": ({"until": {"cost": 0}}, "until of cost must be > 0"),
    "most": ({"until": {"cost": 1}, "max_replicas": 5}, "max_replicas must be"),
    "stream": ({"race": "cost", "stream": "bootstrap"}, "needs shuffle or fixed"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=list(BAD))
def test_bad_rules_are_refused(changes, message, monkeypatch):
    monkeypatch.setattr(parcels, "perform", None)
    with pytest.raises(JsplitError, match=message):
        sweep(**changes)
