"""Sets and intervals of many means whose covariances were not kept."""

import numpy as np
import pytest

from jsplit import stats
from jsplit.stats.bounds import joint_interval, may_be_best, surely_dominated
from jsplit.stats.paired import differences_of
from jsplit.stats.student import Estimate, estimate, t_interval

pytestmark = pytest.mark.core
TRIALS, REPLICAS = 4_000, 16


def estimated(values):
    constant = np.ptp(values, axis=-1) == 0
    return estimate(values, constant, stats.Streams())


def best_of(values, level=0.95, base=None):
    """The set of [cells, replicas]; compared with `base`, on one run, if given."""
    own = estimated(values)
    paired = own
    if base is not None:
        same = np.broadcast_to(base, values.shape)
        paired = estimate(*differences_of(values, same), stats.Streams())
    cells = len(values)
    shared = np.zeros(cells, int) if base is not None else np.arange(cells)
    return may_be_best(
        own,
        paired,
        np.zeros(cells, int),
        shared,
        level=level,
        higher_is_better=True,
    )


def lost(cells, correlated, *, pairs=False):
    """How often the true best (all are equal; say the first) is left out."""
    rng = np.random.default_rng(7)
    count = 0
    for _ in range(TRIALS):
        common = rng.normal(size=REPLICAS)
        own = 0.1 * rng.normal(size=(cells, REPLICAS))
        values = own + np.outer(correlated(cells), common)
        count += not best_of(values, base=values[-1] if pairs else None)[0]
    return count / TRIALS


def test_the_best_is_in_the_set_as_often_as_promised():
    """Opposite noise is the worst case, where the bound is the error itself."""
    assert 0.01 < lost(2, lambda n: np.array([-1.0, 1.0])) < 0.035  # 5 % / 2
    opposite = lost(12, lambda n: np.where(np.arange(n) == 0, -1.0, 1.0))
    assert 0.0005 < opposite < 0.05
    assert lost(12, np.ones) == 0
    assert lost(6, np.ones, pairs=True) < 0.05


def test_paired_differences_tell_apart_what_means_cannot():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=64)
    values = np.stack([noise + 0.2, noise, noise + 0.01 * rng.normal(size=64)])
    assert best_of(values).tolist() == [True, True, True]
    assert best_of(values, base=values[2]).tolist() == [True, False, False]


def test_families_are_of_their_own():
    own = Estimate(np.array([3.0, 1.0, 0.9, 0.3]), np.full(4, 0.1), np.full(4, 99.0))
    family = np.array([0, 1, 1, 1])
    for higher, expected in ((True, [1, 1, 1, 0]), (False, [1, 0, 0, 1])):
        found = may_be_best(
            own,
            own,
            family,
            np.arange(4),
            level=0.95,
            higher_is_better=higher,
        )
        assert found.tolist() == [*map(bool, expected)]


def test_unknown_errors_and_roundings_leave_nothing_out():
    nan = Estimate(np.array([1.0, 0.0]), np.array([0.01, np.nan]), np.array([9.0, 1.0]))
    certain = Estimate(np.array([1.0, 1.0 - 1e-9]), np.zeros(2), np.full(2, 9.0))
    for found in (nan, certain):
        kept = may_be_best(
            found,
            found,
            np.zeros(2, int),
            np.zeros(2, int),
            level=0.95,
            higher_is_better=True,
        )
        assert kept.all()


def test_the_interval_of_a_winner_covers():
    rng = np.random.default_rng(1)
    joint, alone = 0, 0
    for _ in range(TRIALS):
        found = estimated(rng.normal(size=(20, 32)))
        best = found.mean.argmax()
        joint += joint_interval(found, 0.95, np.full(20, 20)).low[best] <= 0
        alone += t_interval(found, 0.95).low[best] <= 0
    assert joint / TRIALS > 0.95
    assert alone / TRIALS < 0.8  # the luckiest of twenty


def intervals(rng, points):
    return (
        stats.Interval.around(
            rng.integers(0, 6, points) / 5, rng.integers(0, 3, points) / 9
        )
        for _ in range(2)
    )


def test_dominated_is_what_a_double_loop_finds():
    rng = np.random.default_rng(2)
    seen = set()
    for _ in range(50):
        cost, value = intervals(rng, 12)
        expected = [
            any(
                cost.high[q] <= cost.low[p] + 1e-12
                and value.low[q] >= value.high[p] - 1e-12
                and (
                    cost.high[q] < cost.low[p] - 1e-3
                    or value.low[q] > value.high[p] + 1e-3
                )
                for q in range(12)
            )
            for p in range(12)
        ]
        assert surely_dominated(cost, value).tolist() == expected
        seen.add(sum(expected))
    assert len(seen) > 3


def test_unknown_limits_dominate_nothing_and_are_not_dominated():
    cost = stats.Interval.around(np.array([1.0, 2.0]), np.array([0.1, np.nan]))
    value = stats.Interval.around(np.array([1.0, 0.0]), np.array([0.1, 0.1]))
    assert not surely_dominated(cost, value).any()
    assert not surely_dominated(value, cost).any()
